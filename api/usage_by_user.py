"""What the end users of a delegate have used: there may be hundreds of thousands of them."""

from collections.abc import Iterable, Sequence
from datetime import date

from api.aside import LARGE_BYTES
from api.context import Context
from dispatcher.constants import OTHER_USERS
from dispatcher.usage import DayOfUsers, UsageRow, Used, users_by_day, with_rest

MOST_USERS = 10_000
"""Users that are told by name. `OTHER_USERS` has the sum of the others."""


class SumsByUser:
    """Sums up one model and day after the other. `whole` is what the delegate itself has used."""

    def __init__(self, whole: Sequence[UsageRow]) -> None:
        self.sums: dict[str, Used] = {}
        self._whole = {(row.model, row.day): row for row in whole}

    def add(self, users: DayOfUsers) -> None:
        """Adds one model and day, and what of it belongs to none of its users."""
        whole = self._whole.pop((users.model, users.day), None)
        self._add(with_rest([whole] if whole else [], users.rows()))

    def end(self) -> None:
        """Adds the days without users."""
        self._add(self._whole.values())

    def _add(self, rows: Iterable[UsageRow]) -> None:
        for row in rows:
            is_known = row.user in self.sums or len(self.sums) < MOST_USERS
            name = row.user if is_known or not row.user else OTHER_USERS
            self.sums[name] = self.sums.get(name, Used()) + row.used


async def sums_by_user(
    context: Context, whole: Sequence[UsageRow], models: Sequence[str], days: Sequence[date]
) -> dict[str, Used]:
    """Sums by the names of users, "" for none of them. `whole` is of one tenant.

    A thread makes them, one report at a time. Raises `RedisUnavailable`.
    """
    made = SumsByUser(whole)
    if not whole:
        return made.sums
    tenant, redis = whole[0].tenant, context.queue.redis
    async with context.reports.alone(tenant):
        async for users in users_by_day(redis, models, days, tenant):
            await context.aside.run(LARGE_BYTES, made.add, users)
    made.end()
    return made.sums
