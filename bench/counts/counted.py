"""Runs `llamaq`, counts the Python calls that it makes, and can put off what it does by the clock.

    python -m bench.counts.counted FILE api

FILE holds two numbers of 8 bytes in the machine's order. To the first one, each call of a Python
function adds one, and each time that one goes on behind an `await`. While the second one is not 0,
timers of 0.1 s and more come 2 s late: probes and heartbeats belong to no request.
"""

import mmap
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import uvloop

from llamaq.__main__ import main

BYTES = 16
_LONG_S = 0.1
_LATER_S = 2.0


def count_calls(numbers: memoryview) -> None:
    """From now on, in all threads that begin later too."""

    def hook(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code.co_filename != __file__:
            numbers[0] += 1

    threading.setprofile(hook)
    sys.setprofile(hook)


def hold_timers(numbers: memoryview) -> None:
    """Puts off what long timers call, while the second number says so."""
    call_later = uvloop.Loop.call_later

    def hold(
        loop: uvloop.Loop, delay: float, callback: Callable[..., Any], *args: Any, **more: Any
    ) -> Any:
        if delay < _LONG_S:
            return call_later(loop, delay, callback, *args, **more)

        def come(*, late: bool = False) -> None:
            if handle.cancelled():
                return
            if numbers[1] and not late:
                call_later(loop, _LATER_S, partial(come, late=True), **more)
            else:
                callback(*args)

        handle = call_later(loop, delay, come, **more)
        return handle

    uvloop.Loop.call_later = hold
    uvloop.Loop.call_at = lambda loop, when, callback, *args, **more: hold(
        loop, max(0, when - loop.time()), callback, *args, **more
    )


if __name__ == "__main__":
    with Path(sys.argv.pop(1)).open("r+b") as file:
        shared = memoryview(mmap.mmap(file.fileno(), BYTES)).cast("Q")
    hold_timers(shared)
    count_calls(shared)
    main()
