"""Waits until the embedded Redis answers, and tells why it does not."""

import re
import shlex
import shutil
from pathlib import Path

import click

from dispatcher.tasks import first_of
from llamaq.embedded_redis import EmbeddedRedis
from llamaq.redis_socket import wait_until_ready
from worker_bridge.kept_process import KeptProcess

_HEAD = re.compile(r"^\d+:\w \d+ \w+ \d+ [\d:.]+ [.*#-] ")
_LINES = 2  # the last ones tell of the end
_ITS_ADVICE = ": make a backup of your AOF file"  # it names a tool that may not be there
_QUEUE = re.compile("append only file|AOF|RDB|loading DB")
_BROKEN_FILE = re.compile(r"append only file ([\w.-]+\.aof)\b")


async def wait_for_start(server: EmbeddedRedis, process: KeptProcess, timeout_s: float) -> None:
    """Returns when the server answers.

    Raises `click.ClickException` with the reason as soon as it has ended, or after `timeout_s`.
    """
    before = len(_read(server.log_path))
    try:
        await first_of(wait_until_ready(server.url, timeout_s), process.ended.wait())
    except TimeoutError as error:
        raise click.ClickException(f"{error}. Its log: {server.log_path}") from error
    if process.ended.is_set():
        raise click.ClickException(why_it_ended(_read(server.log_path)[before:], server))


def why_it_ended(log: str, server: EmbeddedRedis) -> str:
    """The reason in what a server has logged before its end, and what to do."""
    lines = [_HEAD.sub("", line) for line in log.splitlines()]
    said = [line for line in lines if line and not line.startswith("WARNING")][-_LINES:]
    if not said:
        return f"Redis ended right after its start. Its log tells no reason: {server.log_path}"
    reason = " / ".join(said).partition(_ITS_ADVICE)[0]
    if _QUEUE.search(reason):
        return f"Redis can't read the queue that it has kept: {reason}\n{_repair(reason, server)}"
    return f"Redis ended right after its start: {reason}\nIts log: {server.log_path}"


def _repair(reason: str, server: EmbeddedRedis) -> str:
    folder = server.folder / "appendonlydir"
    drop = f"move {folder} away: the queue is empty then."
    broken = _BROKEN_FILE.search(reason)
    if broken is None:
        return f"To start without what it has kept, {drop}"
    path = shlex.quote(str(folder / broken[1]))
    return (
        f"Copy {folder} first. This cuts off what can't be read:\n"
        f"  {_check_tool(Path(server.command[0]))} --fix {path}\nOr {drop}"
    )


def _check_tool(program: Path) -> str:
    """The command that repairs; the server's own program does it under another name."""
    name = f"{program.name.partition('-')[0]}-check-aof"
    found = shutil.which(name, path=str(program.parent)) or shutil.which(name)
    return shlex.quote(found) if found else f"bash -c 'exec -a {name} {program} \"$@\"' --"


def _read(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
