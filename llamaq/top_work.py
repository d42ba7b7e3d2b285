"""What `llamaq top` does: it reads the fleet again and again, and draws it until somebody quits."""

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from dispatcher.connection import LinkedRedis
from dispatcher.errors import RedisUnavailable
from dispatcher.overview import Overview
from llamaq.queue_redis import queue_redis
from llamaq.status import read_named
from llamaq.top_frame import Line, fitted, frame_lines

if TYPE_CHECKING:
    from rich.console import Group

_QUIT = b"q", b"Q", b"\x1b"


async def watch(every_s: float, redis_url: str) -> None:
    """Draws on the terminal until q is pressed, also while Redis does not answer.

    Raises `RedisUnavailable` and `click.ClickException` where it can't begin.
    """
    from rich.console import Console
    from rich.live import Live

    console, here, quits = Console(highlight=False), socket.gethostname(), asyncio.Event()
    async with queue_redis(redis_url) as redis:
        found, trouble = await read_named(redis), ""
        with _listening(quits), Live(console=console, screen=True, auto_refresh=False) as live:
            while not quits.is_set():
                lines = frame_lines(found, here, trouble)
                live.update(_drawn(fitted(lines, *console.size)), refresh=True)
                with suppress(TimeoutError):
                    await asyncio.wait_for(quits.wait(), every_s)
                found, trouble = await _read_again(redis, found)


async def _read_again(redis: LinkedRedis, before: Overview) -> tuple[Overview, str]:
    try:
        return await read_named(redis), ""
    except RedisUnavailable as error:
        return before, f"{error.message} This is what was known last."


def _drawn(lines: list[Line]) -> "Group":
    """No text is taken for rich's markup."""
    from rich.console import Group
    from rich.text import Text

    return Group(*(Text(line.text, line.style, no_wrap=True) for line in lines))


@contextmanager
def _listening(quits: asyncio.Event) -> Iterator[None]:
    """Sets the event when q is pressed, where the system lets a program see single keys."""
    try:
        import termios
        import tty
    except ImportError:  # Windows: Ctrl-C is left
        yield
        return
    if not sys.stdin.isatty():
        yield
        return
    keyboard, loop = sys.stdin.fileno(), asyncio.get_running_loop()
    before = termios.tcgetattr(keyboard)
    tty.setcbreak(keyboard)
    loop.add_reader(keyboard, _heed, keyboard, quits)
    try:
        yield
    finally:
        loop.remove_reader(keyboard)
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _heed(keyboard: int, quits: asyncio.Event) -> None:
    pressed = os.read(keyboard, 64)
    if not pressed or pressed in _QUIT:
        quits.set()
