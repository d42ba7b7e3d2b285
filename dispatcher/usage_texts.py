"""Reads the texts that scripts keep of usage, whatever an invited machine has put there."""

import asyncio
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from dispatcher.connection import LinkedRedis
from dispatcher.keys import Keys
from dispatcher.scripts import Scripts

_AT_ONCE = 500  # fields of one call
_SCANNED = 1000  # fields of one call


class RedisField(NamedTuple):
    """A field of a HASH of a model."""

    model: str
    key: str
    field: str


async def texts_at(redis: LinkedRedis, fields: Sequence[RedisField]) -> list[bytes]:
    """The texts in these fields, in order; empty where there is none.

    It takes one call for each model, in one write. Raises `RedisUnavailable`.
    """
    of_models: dict[str, list[int]] = {}
    for number, field in enumerate(fields):
        of_models.setdefault(field.model, []).append(number)
    texts, asked, calls = [b""] * len(fields), [], []
    for model, numbers in of_models.items():
        run = Scripts(redis, Keys(model)).run
        for start in range(0, len(numbers), _AT_ONCE):
            some = numbers[start : start + _AT_ONCE]
            asked.append(some)
            calls.append(run("used", *chain.from_iterable(fields[n][1:] for n in some)))
    for some, answer in zip(asked, await asyncio.gather(*calls), strict=True):
        for number, text in zip(some, answer, strict=True):
            texts[number] = text
    return texts


async def texts_in(redis: LinkedRedis, model: str, key: str, pattern: str) -> dict[bytes, bytes]:
    """Those of all fields of a key that match. Raises `RedisUnavailable`."""
    found: dict[bytes, bytes] = {}
    run, cursor = Scripts(redis, Keys(model)).run, b"0"
    while True:
        cursor, rows = await run("used_by_each", key, cursor, pattern, _SCANNED)
        found |= zip(rows[::2], rows[1::2], strict=True)
        if cursor == b"0":
            return found
