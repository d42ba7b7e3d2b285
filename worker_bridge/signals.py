"""The orders that a bridge gets by signals."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from worker_bridge.kept_process import ORPHANED


@dataclass(frozen=True, slots=True)
class Signals:
    """`drain`: take no more jobs, and let those that run end. `hurry`: give these back at once."""

    drain: asyncio.Event = field(default_factory=asyncio.Event)
    hurry: asyncio.Event = field(default_factory=asyncio.Event)

    def heed(self) -> None:
        """The first signal drains, the second one hurries."""
        (self.hurry if self.drain.is_set() else self.drain).set()

    def end_at_once(self) -> None:
        """No time is left."""
        self.drain.set()
        self.hurry.set()


def heed_signals() -> Signals:
    """The signals SIGTERM and SIGINT, and Ctrl-Break on Windows; `ORPHANED` counts as two."""
    signals = Signals()
    handlers = {
        ORPHANED: signals.end_at_once,
        signal.SIGTERM: signals.heed,
        signal.SIGINT: signals.heed,
        getattr(signal, "SIGBREAK", signal.SIGINT): signals.heed,
    }
    loop = asyncio.get_running_loop()
    for number, handler in handlers.items():
        try:
            loop.add_signal_handler(number, handler)
        except NotImplementedError:  # Windows' event loop
            _heed_outside(loop, number, handler)
    return signals


def _heed_outside(
    loop: asyncio.AbstractEventLoop, number: signal.Signals, handler: Callable[[], None]
) -> None:
    """Has a signal wake the loop, which then calls the handler."""

    def wake(*_: object) -> None:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(handler)

    signal.signal(number, wake)
