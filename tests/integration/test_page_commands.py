"""Every command that a page shows is typed: here, or by the trial that is named for it."""

import asyncio
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest
import redis
from click.testing import CliRunner

from dispatcher.commands import Commands
from dispatcher.connection import open_redis
from dispatcher.keys import MODELS, Keys
from dispatcher.worker import WorkerFacts, WorkerSession
from llamaq import pause_command, token_work
from llamaq.__main__ import main
from llamaq.home import Home
from testing.builders import SECRET, make_token
from testing.desk import Desk

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
SERVE = "up", "api", "bridge"
JOB, WORKER = "3b6f0c2e9d4a4c0f", "gpu1-0a1b2c"

# Who types what this test does not: by how a line begins, and the page where that matters.
ELSEWHERE = {
    r"docs/services\.md": "scripts/try-services",
    r"docs/tutorial\.md": "scripts/try-tutorial",
    r"docs/clients\.md": "tests/clients/agents.py",
    r"docs/idempotency\.md: curl ": "tests/end_to_end/test_idempotency.py",
    r"docs/logs\.md: export ": "tests/end_to_end/test_traces.py",
    r".*: (pipx|uv|python3 -m venv) ": "scripts/try-join",
    r".*: docker compose ": "scripts/try-compose",
    r".*: redis-cli ": "tests/end_to_end/test_redis_cli.py",
    r"README\.md: ANTHROPIC_BASE_URL=": "tests/clients/agents.py",
    r"examples/README\.md": "tests/end_to_end/test_examples.py",
    r"docs/operating\.md: (case | +\S+\) |esac)": "tests/end_to_end/test_wake.py",
    r"docs/command-line\.md: eval ": "tests/unit/llamaq/test_completion.py",
}


def lines() -> list[tuple[str, str]]:
    """Each line of a block for the shell, with its page, but without the comment."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").glob("*.md")]
    return [
        (str(page.relative_to(ROOT)), text)
        for page in sorted(pages)
        for block in re.findall(r"^```sh\n(.*?)^```$", page.read_text(), re.M | re.S)
        for line in block.replace("\\\n", " ").splitlines()
        if (text := re.sub(r"(^|\s+)#( .*|!.*)?$", "", line).rstrip())
    ]


def own(line: str) -> list[str] | None:
    """The words of a line that calls llamaq, behind its name; None for another one."""
    words = shlex.split(line.partition(" > ")[0].partition(" < ")[0])
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    return words[1:] if words and words[0] == "llamaq" else None


@pytest.fixture(scope="module")
def home(
    real_redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, str]]:
    """The folder of an `up` that runs, whose Redis has a worker and a job; and the worker's id."""
    folder = Home(tmp_path_factory.mktemp("up"))
    folder.jwt_secret.write_text(SECRET)
    folder.redis_url.write_text(real_redis_url)
    folder.redis_listen.write_text("192.168.1.5:6379")
    folder.redis_password.write_text("password")
    (folder.folder / "api_url").write_text("http://127.0.0.1:8484")
    with redis.Redis.from_url(real_redis_url) as client:
        client.flushall()
        yield folder.folder, asyncio.run(_fill(real_redis_url))
        for user in client.acl_users():
            if user != "default":
                client.acl_deluser(user)
        client.flushall()


async def _fill(url: str) -> str:
    client = open_redis(url)
    session = WorkerSession("gpu1", Commands(client, Keys("qwen3")), 600)
    facts = WorkerFacts("qwen3", "http://127.0.0.1:8080", "healthy", 2048, "b1", "f1", host="gpu1")
    await session.register(2, True, facts)
    desk = Desk(client, "qwen3")
    await desk.heartbeat("a")
    await desk.enqueue(JOB, wait_ms=600_000, deadline_ms=600_000)
    await client.zadd(MODELS, {"qwen3": time.time()})
    await client.aclose()
    return session.identity[0]


@pytest.mark.parametrize(("page", "line"), [each for each in lines() if own(each[1]) is not None])
def test_command_of_a_page_does_what_it_says(
    home: tuple[Path, str], page: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What runs on and on is only read: trials start it."""
    words = own(line) or []
    if words[0] in SERVE:
        command = getattr(import_module(f"llamaq.{words[0]}_command"), words[0])
        context = click.Context(command, info_name=words[0])
        command.make_parser(context).parse_args(words[1:])  # raises for an unknown option
        return
    for module, name in (pause_command, "_PATIENCE_S"), (pause_command, "_MORE_S"):
        monkeypatch.setattr(module, name, 0)
    monkeypatch.setattr(token_work, "_SECOND_S", 0)
    for variable in ("LLAMAQ_REDIS_URL", "REDIS_URL", "LLAMAQ_JWT_SECRET"):
        monkeypatch.delenv(variable, raising=False)
    folder, worker = home
    told = {"TOKEN": make_token(), WORKER: worker, "den": "gpu1"}
    arguments = [told.get(word, word) for word in words]
    runner = CliRunner(env={"LLAMAQ_DATA_DIR": str(folder)})
    done = runner.invoke(main, arguments, input=make_token())
    allowed = (0, 1) if words[0] == "doctor" else (0,)
    assert done.exit_code in allowed, f"{page}: {line}\n{done.output}"


def test_each_other_line_is_typed_by_a_test_that_is_there() -> None:
    for page, line in lines():
        if own(line) is not None:
            continue
        if script := re.match(r"(scripts/[\w-]+)|(?:\.venv/bin/python (?:-m )?)([\w./]+)", line):
            name = script[1] or script[2].replace(".", "/").replace("/py", ".py")
            there = [ROOT / name, ROOT / f"{name}.py", ROOT / name / "__main__.py"]
            assert any(each.exists() for each in there), f"{page}: {line}"
            continue
        told = f"{page}: {line}"
        found = [who for pattern, who in ELSEWHERE.items() if re.match(pattern, told)]
        assert found, f"no test types: {told}"
        assert (ROOT / found[0]).exists(), found


def test_scripts_that_pages_name_tell_what_they_do() -> None:
    """Each begins with a comment that says so."""
    listed = subprocess.run(
        ["git", "ls-files", "scripts"], cwd=ROOT, capture_output=True, text=True
    )
    for name in listed.stdout.split():
        file = ROOT / name
        if not file.suffix:
            assert re.match(r"#!/bin/sh\n# [A-Z].+", file.read_text()), name
