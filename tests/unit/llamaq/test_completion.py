"""A shell completes commands, options, ids of workers and names of models."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dispatcher.connection import open_redis
from dispatcher.keys import Keys
from dispatcher.worker import WorkerSession
from llamaq.__main__ import main
from testing.desk import Desk
from testing.ends import FACTS


def completed(line: str, **environment: str) -> list[str]:
    """What is offered for the last word of a line, as bash is told."""
    words = line.split(" ")
    asked = {"_LLAMAQ_COMPLETE": "bash_complete", "COMP_WORDS": line}
    asked |= {"COMP_CWORD": str(len(words) - 1)} | environment
    shown = CliRunner().invoke(main, [], prog_name="llamaq", env=asked)
    return [row.partition(",")[2] for row in shown.stdout.splitlines() if row]


def test_commands_and_options_are_completed() -> None:
    assert completed("llamaq dra") == ["drain"]
    assert "--json" in completed("llamaq status --")
    assert completed("llamaq token re") == ["revoke"]


@pytest.mark.real
async def test_workers_and_models_are_completed(real_redis_url: str) -> None:
    async with open_redis(real_redis_url) as redis:
        await redis.flushall()
        session = WorkerSession("gpu-a1", Desk(redis).commands, 10)
        await session.register(1, True, FACTS)
        try:
            url = {"LLAMAQ_REDIS_URL": real_redis_url}
            for line, found in (("drain g", "gpu-a1"), ("alias set x t", Keys("tiny").model)):
                told = await _completed_elsewhere(f"llamaq {line}", url)
                assert told == [found]
        finally:
            await redis.flushall()


async def _completed_elsewhere(line: str, environment: dict[str, str]) -> list[str]:

    return await asyncio.to_thread(completed, line, **environment)


def test_without_redis_no_name_is_completed(tmp_path: Path) -> None:
    assert completed("llamaq drain g", LLAMAQ_REDIS_URL=f"unix://{tmp_path}/none.sock") == []


def test_completion_loads_no_command() -> None:
    code = "import sys; from llamaq.__main__ import main\ntry: main(prog_name='llamaq')\n"
    code += "except SystemExit: pass\nprint(*sys.modules, file=sys.stderr)"
    asked = {"_LLAMAQ_COMPLETE": "bash_complete", "COMP_WORDS": "llamaq ", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | asked, capture_output=True, text=True
    )
    assert "plain,status" in done.stdout
    assert not {"fastapi", "redis", "llamaq.status_command"} & set(done.stderr.split())


@pytest.mark.parametrize("shell", ["zsh", "fish", "bash"])
def test_each_shell_gets_its_script(shell: str) -> None:
    shown: Result = CliRunner().invoke(main, ["completion", shell])
    assert (shown.exit_code, "_LLAMAQ_COMPLETE" in shown.stdout) == (0, True)
