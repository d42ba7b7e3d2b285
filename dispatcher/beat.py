"""One beat for all that a process does regularly.

On it the process wakes once, its commands leave in one write, and Redis wakes once for it.
"""

import asyncio
from secrets import randbelow

_PHASE = randbelow(1000) / 1000  # of this process, so that not all of them wake at once
_TOO_SOON = 0.1  # of a beat: the last one has just been


def until_beat_s(every_s: float) -> float:
    """Seconds until the next beat, where beats are `every_s` apart."""
    gone = (asyncio.get_running_loop().time() / every_s + _PHASE) % 1
    left = 1 - gone
    return (left if left > _TOO_SOON else 1 + left) * every_s
