"""What happens once a second for every request that waits."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from dispatcher.beat import until_beat_s

_PULSE_S = 1.0


@dataclass(slots=True)
class Pulse:
    """Calls every listener once a second: one timer for all requests, instead of one for each."""

    listeners: set[Callable[[], None]] = field(default_factory=set)
    ending: bool = False

    def end(self) -> None:
        """The API ends at once: every request hears of it now."""
        self.ending = True
        self.beat()

    def beat(self) -> None:
        """Calls them all."""
        for listener in tuple(self.listeners):
            listener()

    async def run(self) -> None:
        """Beats for ever."""
        while True:
            await asyncio.sleep(until_beat_s(_PULSE_S))
            self.beat()
