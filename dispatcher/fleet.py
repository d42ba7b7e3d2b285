"""The workers that share a queue, as one of them sees the others."""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite

from dispatcher.keys import Keys
from dispatcher.link import Link
from dispatcher.patience import Load, Speed

log = logging.getLogger("llamaq.worker")

_MEANS = "mean_prompt_tokens", "mean_completion_tokens"


@dataclass(frozen=True, slots=True)
class Fleet:
    """The accepting workers of a model by name, and what they have to do."""

    speeds: Mapping[str, Speed]
    load: Load


NO_FLEET = Fleet({}, Load(0, 0))
"""A fleet that can't be seen."""


async def fetch_fleet(link: Link, keys: Keys) -> Fleet:
    """Reads it from Redis. Raises `RedisUnavailable` and `ResponseError`."""
    rows, means = await asyncio.gather(
        link.call("HGETALL", keys.named("speeds")),
        link.call("HMGET", keys.named("counters"), *_MEANS),
    )
    return read_fleet(dict(zip(rows[::2], rows[1::2], strict=True)), means)


def read_fleet(speeds: Mapping[bytes, bytes], means: Iterable[bytes | None]) -> Fleet:
    """Reads the rows of the speeds, and the means among the counters; leaves out what is bad."""
    return Fleet(dict(_read_speeds(speeds)), Load(*(_read_mean(value) for value in means)))


def _read_mean(value: bytes | None) -> float:
    try:
        return max(0.0, _finite(value or b"0"))
    except ValueError as error:
        log.error("A mean among the counters can't be read: %r", error)
        return 0.0


def _read_speeds(rows: Mapping[bytes, bytes]) -> Iterator[tuple[str, Speed]]:
    """The workers whose figures can be read, by name."""
    for name, row in rows.items():
        try:
            slots, prompt, decode = row.split(b" ")
            yield name.decode(), Speed(int(slots), _finite(prompt), _finite(decode))
        except ValueError as error:
            log.error("The speed of the worker %r can't be read: %r", name, error)


def _finite(text: bytes) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text!r} is no number")
    return number
