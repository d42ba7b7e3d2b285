"""What is left of the tokens that an account may use. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple

from api.errors import ApiError
from api.rates import Rate, too_many_tokens
from dispatcher.limits import Account
from dispatcher.used_tokens import UsedLately, day_ends, month_ends


class Span(NamedTuple):
    """What is left `per` day or month."""

    per: str
    rate: Rate


@dataclass(frozen=True, slots=True)
class Budget:
    """What an account had used on a day at a time, which is Unix time."""

    account: Account
    used: UsedLately
    today: date
    now_s: float

    @property
    def tightest(self) -> Span:
        """The day or the month: the one with less left."""
        limits, used = self.account.limits, self.used
        day = self._span("day", limits.tokens_per_day, used.day, day_ends(self.today).timestamp())
        month_s = month_ends(self.today).timestamp()
        month = self._span("month", limits.tokens_per_month, used.month, month_s)
        return min((span for span in (day, month) if span.rate.limit), key=_remaining)

    def _span(self, per: str, limit: int, used: int, ends_s: float) -> Span:
        return Span(per, Rate(limit, limit - used, ends_s - self.now_s, ends_s))

    @property
    def most_of_model(self) -> int:
        """No job begins once this number of the model's tokens has been used today."""
        return self.used.of_model + self.tightest.rate.remaining

    @property
    def is_used_up(self) -> bool:
        """Whether nothing is left."""
        return self.tightest.rate.remaining <= 0

    def spent(self, now_s: float) -> "Budget":
        """The same when nothing is left."""
        left, used = self.tightest.rate.remaining, self.used
        used = replace(used, day=used.day + left, month=used.month + left)
        return replace(self, used=used, now_s=now_s)

    def error(self) -> ApiError:
        """What is told where nothing is left."""
        per, rate = self.tightest
        return too_many_tokens(whose(self.account), per, rate)


def whose(account: Account) -> str:
    """The beginning of a sentence about an account.

    >>> from dispatcher.limits import Limits
    >>> whose(Account("ann", "", Limits())), whose(Account("web", "u1", Limits()))
    ('You', "The end user 'u1'")
    """
    return f"The end user {account.user[:80]!r}" if account.user else "You"


def quota_of(budgets: Sequence[Budget]) -> str:
    """What a queued job is told: until when it holds (Unix ms), its day, and two numbers of tokens.

    The tenant and the end user may have used these of its model; `-` is no limit.
    """
    most = {budget.account.user: budget.most_of_model for budget in budgets}
    of_user = [number for user, number in most.items() if user]
    today = budgets[0].today
    until_ms = int(day_ends(today).timestamp() * 1000)
    return f"{until_ms} {today} {most.get('', '-')} {of_user[0] if of_user else '-'}"


def _remaining(span: Span) -> int:
    return span.rate.remaining
