"""What tenants have used, as the scripts count it: sums of each model and day in Redis."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple
from urllib.parse import unquote

from redis.exceptions import ResponseError

from dispatcher.connection import LinkedRedis
from dispatcher.constants import USAGE_TTL_MS, USERS_TTL_MS
from dispatcher.job import tenant_key
from dispatcher.keys import MODELS, Keys
from dispatcher.redis_clock import redis_now_ms
from dispatcher.usage_texts import RedisField, texts_at, texts_in

DEFAULT_DAYS = USAGE_TTL_MS // 86_400_000
"""Usage is kept for this many days, unless an API says otherwise."""
USERS_DAYS = USERS_TTL_MS // 86_400_000
"""That of end users is kept for no longer."""

_FIRST, _DAY_S = date(1970, 1, 1), 86400
_AT_ONCE = 256  # commands
_COUNT = re.compile(rb"([a-z_]+)=(\d{1,16})")

log = logging.getLogger("llamaq.usage")


@dataclass(frozen=True, slots=True)
class Used:
    """Requests and tokens; of the `prompt` tokens `cached` were not evaluated."""

    requests: int = 0
    prompt: int = 0
    cached: int = 0
    completion: int = 0
    slot_ms: int = 0

    def __add__(self, other: "Used") -> "Used":
        return Used(
            self.requests + other.requests,
            self.prompt + other.prompt,
            self.cached + other.cached,
            self.completion + other.completion,
            self.slot_ms + other.slot_ms,
        )

    @property
    def tokens(self) -> int:
        """Those of prompts, cached ones too, and of answers."""
        return self.prompt + self.completion


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What one tenant, or one of its end users, has used of one model on one UTC day.

    `user` is empty for what belongs to none of them, and `(others)` for all those that are not
    counted by themselves.
    """

    day: date
    model: str
    tenant: str
    user: str
    used: Used


def read_used(text: bytes | None) -> Used:
    """The value of a field. What can't be read counts as nothing.

    >>> read_used(b"requests=2 prompt=30 cached=9 completion=12 slot_ms=800 users=1")
    Used(requests=2, prompt=30, cached=9, completion=12, slot_ms=800)
    """
    found = {name.decode(): int(number) for name, number in _COUNT.findall(text or b"")}
    return Used(**{name: found.get(name, 0) for name in Used.__slots__})


def usage_field(model: str, day: date, tenant: str, user: str = "") -> RedisField:
    """Where the usage of a tenant stands, or of one of its end users.

    >>> usage_field("tiny", date(2026, 11, 27), "web", "u 1")[1:]
    ('llamaq:{tiny}:usage_users:2026-11-27', 'web|u%201')
    """
    key = _key("usage_users" if user else "usage", model, day)
    return RedisField(model, key, _field(tenant, user))


def days_between(first: date, last: date) -> list[date]:
    """All of them, both included."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


async def today(redis: LinkedRedis) -> date:
    """The UTC day of Redis' clock. Raises `RedisUnavailable`."""
    return _FIRST + timedelta(milliseconds=await redis_now_ms(redis.link))


async def known_models(redis: LinkedRedis) -> list[str]:
    """All that were ever served. Raises `RedisUnavailable`."""
    try:
        found = await redis.link.call("ZRANGE", MODELS, 0, -1)
    except ResponseError as error:
        log.error("The models in %s can't be read: %s", MODELS, error)
        return []
    return sorted(model.decode(errors="replace") for model in found)


async def usage_of(
    redis: LinkedRedis, models: Iterable[str], days: Sequence[date], tenant: str, user: str = ""
) -> list[UsageRow]:
    """What a tenant, or one of its end users, has used, without rows of nothing.

    It takes one call for each model, in one write. Raises `RedisUnavailable`.
    """
    asked = [(model, day) for model in models for day in days]
    texts = await texts_at(redis, [usage_field(*each, tenant, user) for each in asked])
    return [
        UsageRow(day, model, tenant, user, read_used(text))
        for (model, day), text in zip(asked, texts, strict=True)
        if text
    ]


async def usage_of_all(
    redis: LinkedRedis, models: Iterable[str], days: Sequence[date]
) -> list[UsageRow]:
    """What each tenant has used. Raises `RedisUnavailable`."""
    return [
        _row(model, day, field, text)
        for model in models
        for day in days
        for field, text in (await texts_in(redis, model, _key("usage", model, day), "*")).items()
    ]


class DayOfUsers(NamedTuple):
    """End users of one model and day, as Redis has them: `rows` reads them, which takes a while."""

    model: str
    day: date
    fields: Mapping[bytes, bytes]

    def rows(self) -> list[UsageRow]:
        """What each has used."""
        return [_row(self.model, self.day, *each) for each in self.fields.items()]


async def users_by_day(
    redis: LinkedRedis, models: Iterable[str], days: Sequence[date], tenant: str = ""
) -> AsyncIterator[DayOfUsers]:
    """The end users of this tenant, or those of all. Raises `RedisUnavailable`."""
    pattern = f"{_field(tenant)}|*" if tenant else "*"
    asked = [(model, day) for model in models for day in days]
    sizes = await _in_turn(redis, [("HLEN", _key("usage_users", *each)) for each in asked])
    for each, size in zip(asked, sizes, strict=True):
        if size:
            key = _key("usage_users", *each)
            yield DayOfUsers(*each, await texts_in(redis, each[0], key, pattern))


async def usage_of_users(
    redis: LinkedRedis, models: Iterable[str], days: Sequence[date], tenant: str = ""
) -> list[UsageRow]:
    """What they have used. Raises `RedisUnavailable`."""
    found = users_by_day(redis, models, days, tenant)
    return [row async for each in found for row in each.rows()]


def with_rest(whole: Iterable[UsageRow], users: Sequence[UsageRow]) -> list[UsageRow]:
    """The rows of end users, and of their tenants what belongs to none of them."""
    sums: dict[tuple[date, str, str], Used] = {}
    for row in users:
        at = row.day, row.model, row.tenant
        sums[at] = sums.get(at, Used()) + row.used
    rest = [_less(row, sums.get((row.day, row.model, row.tenant), Used())) for row in whole]
    return [*users, *(row for row in rest if row.used != Used())]


def _less(row: UsageRow, used: Used) -> UsageRow:
    left = {name: max(0, getattr(row.used, name) - getattr(used, name)) for name in Used.__slots__}
    return UsageRow(row.day, row.model, row.tenant, "", Used(**left))


async def keep_usage(redis: LinkedRedis, kept_days: int) -> None:
    """Makes Redis keep the usage of each day for this many days. Raises `RedisUnavailable`."""
    last, commands = await today(redis), []
    days = days_between(last - timedelta(days=max(kept_days, DEFAULT_DAYS)), last)
    for model in await known_models(redis):
        for name, kept in (("usage", kept_days), ("usage_users", min(kept_days, USERS_DAYS))):
            commands += [("EXPIREAT", _key(name, model, day), _ends_s(day, kept)) for day in days]
    await _in_turn(redis, commands)


def _ends_s(day: date, kept_days: int) -> int:
    return ((day - _FIRST).days + 1 + kept_days) * _DAY_S


async def _in_turn(redis: LinkedRedis, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    """The answers; None for a key that holds something else."""
    answers: list[Any] = []
    for first in range(0, len(commands), _AT_ONCE):
        calls = [redis.link.call(*command) for command in commands[first : first + _AT_ONCE]]
        answers += await asyncio.gather(*calls, return_exceptions=True)
    for i, answer in enumerate(answers):
        if isinstance(answer, ResponseError):
            log.error("%s: %s", commands[i][1], answer)
            answers[i] = None
        elif isinstance(answer, BaseException):
            raise answer
    return answers


def _key(name: str, model: str, day: date) -> str:
    return Keys(model).named(name, day.isoformat())


def _field(tenant: str, user: str = "") -> str:
    if not user:
        return tenant_key(tenant)
    return f"{tenant_key(tenant)}|{tenant_key(user)}"


def _row(model: str, day: date, field: bytes, text: bytes) -> UsageRow:
    tenant, _, user = field.decode(errors="replace").partition("|")
    return UsageRow(day, model, unquote(tenant), unquote(user), read_used(text))
