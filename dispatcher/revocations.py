"""Which tokens are believed no more: one HASH in Redis, which every API knows within a second.

`jti <id>` → when the token ends. `sub <subject>` → the second until which its tokens are revoked,
and when the last of these ends. All are Unix s. `version` is another one after each change.
"""

import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from redis.exceptions import ResponseError

from dispatcher.connection import LinkedRedis
from dispatcher.keys import REVOKED
from dispatcher.redis_clock import redis_now_ms

MOST_REVOKED = 10_000
FOR_EVER = 253402300799
"""The end of a token whose end nobody knows: the last second of the year 9999."""

_VERSION = "version"
_ID, _SUBJECT = "jti ", "sub "
_CLOCKS_DIFFER_S = 3600

log = logging.getLogger("llamaq.revocations")


class TooManyRevoked(Exception):
    """There is no room for another one."""


class Entry(NamedTuple):
    """Tokens that were made until `made_s` are revoked; the last of them ends at `ends_s`."""

    made_s: int
    ends_s: int

    def is_over(self) -> bool:
        """Whether all of them have ended anyway."""
        return self.ends_s < time.time() - _CLOCKS_DIFFER_S


Entries = Mapping[str, Entry]


@dataclass(slots=True)
class Revocations:
    """What one process knows of them.

    It forgets nothing before its end. It puts back what Redis has lost.
    """

    is_read: bool = False
    _version: bytes | None = None
    _entries: Entries = field(default_factory=dict)

    def forbid(self, id_: object, subject: str, made_s: float) -> bool:
        """Whether a token of this `jti` and subject, which was made then, is revoked."""
        entries = self._entries
        if not entries:
            return False
        if isinstance(id_, str) and _ID + id_ in entries:
            return True
        entry = entries.get(_SUBJECT + subject)
        return entry is not None and made_s < entry.made_s + 1

    async def read(self, redis: LinkedRedis) -> bool:
        """Looks whether there are new ones, and returns whether there are.

        Raises `RedisUnavailable`.
        """
        try:
            version = await redis.link.call("HGET", REVOKED, _VERSION)
            if self.is_read and version == self._version:
                return False
            found = await read_revoked(redis)
            merged = _merged(self._entries, found)
            if merged != found:
                await _put_back(redis, {k: v for k, v in merged.items() if found.get(k) != v})
        except ResponseError as error:
            log.error("The revoked tokens in %s can't be read: %s", REVOKED, error)
            return False
        before, self._entries = self._entries, merged
        self.is_read, self._version = True, version
        return merged != before


async def read_revoked(redis: LinkedRedis) -> Entries:
    """All of them that are not over. What can't be read is left out, and logged.

    Raises `RedisUnavailable` and `ResponseError`.
    """
    said = await redis.link.call("HGETALL", REVOKED)
    words = [word.decode(errors="replace") for word in said]
    found = {}
    for name, value in zip(words[::2], words[1::2], strict=True):
        if name == _VERSION:
            continue
        entry = _read_entry(name, value)
        if entry is None:
            log.error("%r in %s is left out: it is no revocation", name[:80], REVOKED)
        elif not entry.is_over():
            found[name] = entry
    return found


async def revoke_token(redis: LinkedRedis, id_: str, ends_s: int) -> None:
    """From a second later on no API accepts the token of this `jti`.

    Raises `TooManyRevoked`, `RedisUnavailable` and `ResponseError`.
    """
    await _make_room(redis)
    await _write(redis, {_ID + id_: Entry(FOR_EVER, ends_s)})


async def revoke_subject(redis: LinkedRedis, subject: str, longest_life_s: int) -> int:
    """From a second later on no API accepts a token of this subject that was made until now.

    Returns that second of Redis. Tokens last no longer than `longest_life_s`, 0 for any time.
    Raises as `revoke_token` does.
    """
    await _make_room(redis)
    now = await redis_now_ms(redis.link) // 1000
    ends_s = now + longest_life_s if longest_life_s else FOR_EVER
    await _write(redis, {_SUBJECT + subject: Entry(now, ends_s)})
    return now


def _read_entry(name: str, value: str) -> Entry | None:
    numbers = value.split()
    if not all(word.isdecimal() and len(word) <= len(str(FOR_EVER)) for word in numbers):
        return None
    if name.startswith(_ID) and len(numbers) == 1:
        return Entry(FOR_EVER, int(numbers[0]))
    if name.startswith(_SUBJECT) and len(numbers) == 2:
        return Entry(int(numbers[0]), int(numbers[1]))
    return None


def _merged(known: Entries, found: Entries) -> dict[str, Entry]:
    merged = {name: entry for name, entry in known.items() if not entry.is_over()}
    for name, entry in found.items():
        merged[name] = Entry(*map(max, entry, merged.get(name, entry)))
    return merged


async def _put_back(redis: LinkedRedis, lost: Entries) -> None:
    log.warning("Redis has lost %d revocations: they are put back", len(lost))
    await _write(redis, lost)


async def _write(redis: LinkedRedis, entries: Entries) -> None:
    """In one command: a reader of the new version sees what is new."""
    words: list[str | int] = [_VERSION, secrets.token_hex(8)]
    for name, entry in entries.items():
        ends = str(entry.ends_s)
        words += [name, ends if name.startswith(_ID) else f"{entry.made_s} {ends}"]
    await redis.link.call("HSET", REVOKED, *words)


async def _make_room(redis: LinkedRedis) -> None:
    """Deletes what is over."""
    names = [name.decode(errors="replace") for name in await redis.link.call("HKEYS", REVOKED)]
    found = await read_revoked(redis)
    over = [name for name in names if name != _VERSION and name not in found]
    if over:
        await redis.link.call("HDEL", REVOKED, *over)
    if len(found) >= MOST_REVOKED:
        raise TooManyRevoked(
            f"There are {MOST_REVOKED} revocations already: replace the secret that signs instead."
        )
