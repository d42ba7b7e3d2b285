"""A request of a limited tenant, from its admission to its end."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from redis.exceptions import ResponseError

from api.errors import ApiError, unavailable
from api.rates import Rate, RateForm, too_many_open, too_many_requests
from api.token_budget import Budget, quota_of, whose
from dispatcher.admissions import REQUESTS, Admissions, Verdict
from dispatcher.job import Job
from dispatcher.limits import Account, Limits
from dispatcher.redis_clock import RedisClock
from dispatcher.used_tokens import UsedTokens

log = logging.getLogger("llamaq.limits")


@dataclass(slots=True)
class Counts:
    """What an API counts of limited tenants. `waiting` are requests that may run out of tokens."""

    admissions: Admissions
    used: UsedTokens
    clock: RedisClock
    waiting: "set[Stay]" = field(default_factory=set)

    async def budgets(self, accounts: Sequence[Account], model: str) -> list[Budget]:
        """What is left of the tokens of these accounts."""
        if not accounts:
            return []
        today, now_s = self.used.today(), self.clock.in_ms(0) / 1000
        used = await self.used.read(accounts, model, today)
        return [Budget(*pair, today, now_s) for pair in zip(accounts, used, strict=True)]


class Stay:
    """One request. It counts for these `accounts`. `end` comes last.

    A side request counts as no open request, and uses no tokens.
    """

    def __init__(
        self, counts: Counts, request: str, accounts: Sequence[Account], form: RateForm
    ) -> None:
        self._counts = counts
        self._request = request
        self._accounts = accounts
        self._form = form
        self._refuse: Callable[[ApiError], None] = _not_yet
        self._model = ""
        self._is_in = False
        self._rates: dict[str, Rate] = {}
        self._budgets: Sequence[Budget] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Equal for requests that use the same tokens."""
        return tuple(f"{each.tenant}\n{each.user}" for each in self._of_tokens)

    @property
    def _of_tokens(self) -> list[Account]:
        return [each for each in self._accounts if each.limits.counts_tokens]

    async def begin(self, job: Job, refuse: Callable[[ApiError], None]) -> Job:
        """Counts the request; its job then knows how many tokens are left for it.

        `refuse` is called if they are used up while it waits for a worker. Raises `ApiError` 429
        where a limit leaves no room, `ApiError` 503, and `RedisUnavailable`.
        """
        if job.needs.side:
            self._accounts = list(filter(None, map(_of_a_side_request, self._accounts)))
        if not self._accounts:
            return job
        self._refuse, self._model, self._is_in = refuse, job.model, True
        try:
            budgets, verdict = await asyncio.gather(
                self._counts.budgets(self._of_tokens, job.model),
                self._counts.admissions.admit(self._request, self._accounts),
            )
        except ResponseError as error:
            log.error("The limits of %r can't be held: %s", self._accounts[0].tenant, error)
            raise _unreadable() from error
        self._counts.clock.learn(verdict.now_ms)
        if budgets and budgets[0].today != self._counts.used.today():  # we were asleep
            budgets = await self._counts.budgets(self._of_tokens, job.model)
        self._note(verdict, budgets)
        self._check(verdict, budgets)
        if not budgets:
            return job
        self._budgets = budgets
        self._counts.waiting.add(self)
        return replace(job, quota=quota_of(budgets))

    def headers(self) -> dict[str, str]:
        """What is left of the limits."""
        headers: dict[str, str] = {}
        for what, rate in self._rates.items():
            headers |= self._form(what, rate)
        return headers

    def end(self, *, counts: bool) -> None:
        """It is over. It counts, unless it was refused."""
        self._counts.waiting.discard(self)
        if self._is_in:
            self._is_in, self._refuse = False, _not_yet
            self._counts.admissions.leave(self._request, self._accounts, counts=counts)

    async def look_again(self, alike: "Sequence[Stay]") -> None:
        """Refuses all of these requests if no tokens are left. They use the same ones."""
        for budget in await self._counts.budgets(self._of_tokens, self._model):
            if budget.is_used_up:
                for stay in alike:
                    stay.refuse(budget)

    def refuse(self, budget: Budget) -> None:
        """Its tokens are used up: it is refused if it still waits."""
        self._rates["tokens"] = budget.tightest.rate
        self._refuse(self._told(budget.error()))

    def used_up(self) -> ApiError:
        """The error for a job for which no tokens were left when its turn came."""
        budget = min(self._budgets, key=lambda budget: budget.tightest.rate.remaining)
        budget = budget.spent(self._counts.clock.in_ms(0) / 1000)
        self._rates["tokens"] = budget.tightest.rate
        return self._told(budget.error())

    def _note(self, verdict: Verdict, budgets: Sequence[Budget]) -> None:
        """What the headers tell: of several accounts the one with least left."""
        now_s = verdict.now_ms / 1000
        of_requests = []
        for account, standing in zip(self._accounts, verdict.standings, strict=True):
            limit, reset_s = account.limits.requests_per_minute, standing.all_ms / 1000
            if limit:
                left = limit - standing.requests
                of_requests.append(Rate(limit, left, reset_s, now_s + reset_s))
        of_tokens = [budget.tightest.rate for budget in budgets]
        for what, rates in (("requests", of_requests), ("tokens", of_tokens)):
            if rates:
                self._rates[what] = min(rates, key=lambda rate: rate.remaining)

    def _check(self, verdict: Verdict, budgets: Sequence[Budget]) -> None:
        """Raises `ApiError` 429."""
        account, standing = self._accounts[verdict.about], verdict.standings[verdict.about]
        limits = account.limits
        if verdict.refusal == REQUESTS:
            wait_s = standing.again_ms / 1000
            error = too_many_requests(whose(account), limits.requests_per_minute, wait_s)
            raise self._told(error)
        if verdict.refusal:
            raise self._told(too_many_open(whose(account), limits.concurrent))
        for budget in budgets:
            if budget.is_used_up:
                raise self._told(budget.error())

    def _told(self, error: ApiError) -> ApiError:
        error.headers |= self.headers()
        return error


def _not_yet(_: ApiError) -> None:
    """It is not waiting."""


def _of_a_side_request(account: Account) -> Account | None:
    per_minute = account.limits.requests_per_minute
    return replace(account, limits=Limits(per_minute)) if per_minute else None


def _unreadable() -> ApiError:
    return unavailable(
        "What you have used can't be read, so nobody can tell whether you may use more: the log of "
        "the server says why.",
        "limits_unreadable",
    )
