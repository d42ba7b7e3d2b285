"""The tokens that tenants have used, as the workers of all models have reported them."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from dispatcher.connection import LinkedRedis
from dispatcher.limits import Account
from dispatcher.redis_clock import RedisClock
from dispatcher.usage import known_models, read_used, usage_field
from dispatcher.usage_texts import texts_at

_PAST_S = 600.0  # what was used on earlier days is read again after this
_EARLY_S = 10.0  # on a new day, an answer may still be counted for the day before
_MOST_KNOWN = 10_000


@dataclass(frozen=True, slots=True)
class UsedLately:
    """Tokens of prompts and answers: of this day and this month, over all models.

    `of_model` are those of this day and one model.
    """

    day: int
    month: int
    of_model: int


class UsedTokens:
    """Reads what accounts have used. `clock` tells which day it is, `models` which there are."""

    def __init__(
        self, redis: LinkedRedis, clock: RedisClock, models: Callable[[], Iterable[str]]
    ) -> None:
        self._redis = redis
        self._clock = clock
        self._models = models
        self._past: dict[tuple[str, str], tuple[date, float, int]] = {}

    async def read(self, accounts: Sequence[Account], model: str, today: date) -> list[UsedLately]:
        """What each account has used until now, in all and of this model. Raises
        `RedisUnavailable`.
        """
        names = [model, *(name for name in self._models() if name != model)]
        of_models, past = await asyncio.gather(
            self._sums(accounts, names, [today]),
            asyncio.gather(*(self._before(each, today) for each in accounts)),
        )
        used = []
        for place, before in enumerate(past):
            day = sum([row[place] for row in of_models])
            used.append(UsedLately(day, before + day, of_models[0][place]))
        return used

    def today(self) -> date:
        """The day in Redis, in UTC."""
        return datetime.fromtimestamp(self._clock.in_ms(0) / 1000, UTC).date()

    async def _before(self, account: Account, today: date) -> int:
        """What an account has used this month before today: that changes no more."""
        if not account.limits.tokens_per_month or today.day == 1:
            return 0
        name, now = (account.tenant, account.user), time.monotonic()
        day, until, tokens = self._past.get(name, (None, 0.0, 0))
        if day == today and now < until:
            return tokens
        models = await known_models(self._redis)
        days = [today - timedelta(days=ago) for ago in range(1, today.day)]
        tokens = sum([row[0] for row in await self._sums([account], models, days)])
        if len(self._past) >= _MOST_KNOWN:
            self._past.clear()
        is_early = self._since_midnight_s() < _EARLY_S
        self._past[name] = today, now + (1.0 if is_early else _PAST_S), tokens
        return tokens

    def _since_midnight_s(self) -> float:
        return self._clock.in_ms(0) / 1000 % 86400

    async def _sums(
        self, accounts: Sequence[Account], models: Iterable[str], days: Collection[date]
    ) -> list[list[int]]:
        """The tokens of each account, for each model and day; 0 where they are damaged."""
        asked = [
            usage_field(model, day, account.tenant, account.user)
            for model in models
            for day in days
            for account in accounts
        ]
        counts = [read_used(text).tokens for text in await texts_at(self._redis, asked)]
        return [counts[at : at + len(accounts)] for at in range(0, len(counts), len(accounts))]


def day_ends(day: date) -> datetime:
    """When the day is over, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)


def month_ends(day: date) -> datetime:
    """When the month of a day is over, in UTC.

    >>> str(month_ends(date(2026, 12, 5)))
    '2027-01-01 00:00:00+00:00'
    """
    year, month = divmod(day.year * 12 + day.month, 12)
    return datetime(year, month + 1, 1, tzinfo=UTC)
