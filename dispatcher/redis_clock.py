"""What time it is in Redis."""

import time

from dispatcher.link import Link


async def redis_now_ms(link: Link) -> int:
    """Asks for it, in Unix ms. Raises `RedisUnavailable`."""
    seconds, micros = await link.call("TIME")
    return int(seconds) * 1000 + int(micros) // 1000


class RedisClock:
    """The clock of Redis, carried on by this process' own between two answers."""

    def __init__(self) -> None:
        self._ahead_ms = 0.0

    def learn(self, now_ms: int) -> None:
        """Redis has just said that this is the time, in Unix ms."""
        self._ahead_ms = now_ms - time.monotonic() * 1000

    def in_ms(self, seconds: float) -> int:
        """The time in Redis, Unix ms, this many seconds from now."""
        return int(self._ahead_ms + (time.monotonic() + seconds) * 1000)
