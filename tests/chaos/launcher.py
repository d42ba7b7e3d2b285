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
_script_text = dispatcher.script_text.script_text
_time = Redis.time


def _shifted_text(name: str, clock_offset_ms: int, protocol: int) -> str:
    known = f"local CLOCK_OFFSET_MS = {clock_offset_ms}\n"
    text = _script_text(name, clock_offset_ms, protocol)
    assert known in text
    return text.replace(known, f"local CLOCK_OFFSET_MS = {_OFFSET}\n")


async def _shifted_time(redis: "Redis[Any]", **options: Any) -> tuple[int, int]:
    seconds, micros = await _time(redis, **options)
    now = seconds * 1_000_000 + micros + 1000 * int(await redis.get(CLOCK_KEY) or 0)
    return now // 1_000_000, now % 1_000_000


if __name__ == "__main__":
    dispatcher.script_text.script_text = _shifted_text  # type: ignore[assignment]
    Redis.time = _shifted_time  # type: ignore[method-assign]
    main()
