"""Starts `llamaq` with a script clock that a test can shift for the whole fleet at once.

Redis' clock is the only one there is, so every process sees a step of it together: the scripts and
the registry add what CLOCK_KEY holds, in milliseconds. The product knows nothing of this.
"""

from typing import Any

from redis.asyncio import Redis

import dispatcher.script_text
from llamaq.__main__ import main

CLOCK_KEY = "chaos:clock_offset_ms"

_OFFSET = f"tonumber(redis.call('GET', '{CLOCK_KEY}') or '0')"
_time = Redis.time


async def _shifted_time(redis: "Redis[Any]", **options: Any) -> tuple[int, int]:
    seconds, micros = await _time(redis, **options)
    now = seconds * 1_000_000 + micros + 1000 * int(await redis.get(CLOCK_KEY) or 0)
    return now // 1_000_000, now % 1_000_000


if __name__ == "__main__":
    dispatcher.script_text.NOW_MS += f" + {_OFFSET}"
    Redis.time = _shifted_time  # type: ignore[method-assign]
    main()
