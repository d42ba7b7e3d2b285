"""Lets the requests of limited tenants begin: exact over all APIs, since Redis counts them."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

from api.allowance import Allowance, allowance
from api.rates import RateForm
from api.stay import Counts, Stay
from api.tenant import Tenant
from dispatcher.admissions import Admissions
from dispatcher.connection import LinkedRedis
from dispatcher.limits import Account
from dispatcher.redis_clock import RedisClock, redis_now_ms
from dispatcher.tenant_limits import TenantLimits
from dispatcher.used_tokens import UsedTokens

_BEAT_S = 0.5  # the directory's is longer, but it looks also when it needs to


class Limiter:
    """The limits of all tenants, and the requests of those who have some.

    `look` is a reader of the directory. Redis takes an API that has not looked for `lease_s` for
    dead, and its requests for closed. `models` tells which there are.
    """

    def __init__(
        self, redis: LinkedRedis, lease_s: float, models: Callable[[], Iterable[str]]
    ) -> None:
        self.settings = TenantLimits()
        clock = RedisClock()
        used = UsedTokens(redis, clock, models)
        self._counts = Counts(Admissions(redis, lease_s), used, clock)
        self._looked_at = float("-inf")

    def of(self, tenant: Tenant, user: str) -> Allowance:
        """What a tenant's request may use, for this end user; "" for none."""
        return allowance(tenant, user, self.settings)

    def stay(self, request: str, accounts: Sequence[Account], form: RateForm) -> Stay:
        """What lets a request begin that counts for these accounts of one tenant."""
        return Stay(self._counts, request, accounts, form)

    async def look(self, redis: LinkedRedis) -> None:
        """Learns what operators have set, and tells that the requests are still open.

        Those that wait for tokens that are used up by now are refused. Raises `RedisUnavailable`.
        """
        await self.settings.read(redis)
        now = time.monotonic()
        if now - self._looked_at < _BEAT_S:
            return
        if self._looked_at == float("-inf"):
            self._counts.clock.learn(await redis_now_ms(redis.link))
        self._looked_at = now
        self._counts.admissions.renew()
        await self._refuse_waiting()

    async def _refuse_waiting(self) -> None:
        """Jobs in the queue of one model may not know what is used of another one."""
        alike: dict[tuple[str, ...], list[Stay]] = {}
        for stay in self._counts.waiting:
            alike.setdefault(stay.names, []).append(stay)
        await asyncio.gather(*(stays[0].look_again(stays) for stays in alike.values()))
