"""What a bridge is told to do by signals."""

import asyncio
import signal
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
    """Those that SIGTERM and SIGINT give; `ORPHANED` counts as two."""
    signals = Signals()
    handlers = {
        ORPHANED: signals.end_at_once,
        signal.SIGTERM: signals.heed,
        signal.SIGINT: signals.heed,
    }
    for number, handler in handlers.items():
        with suppress(NotImplementedError):  # Windows
            asyncio.get_running_loop().add_signal_handler(number, handler)
    return signals
