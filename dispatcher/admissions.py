"""Which requests of limited tenants have begun: exact over all APIs, since Redis counts them."""

import logging
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

from dispatcher.connection import LinkedRedis
from dispatcher.errors import RedisUnavailable
from dispatcher.job import tenant_key
from dispatcher.keys import TenantKeys
from dispatcher.limits import Account
from dispatcher.protocol import PROTOCOL
from dispatcher.redis_address import Arg
from dispatcher.script_text import script_text

_HELD_AT_ONCE = 500

log = logging.getLogger("llamaq.limits")


class Standing(NamedTuple):
    """How an account stands: its requests within a minute, and those that are open.

    One more may come in `again_ms`; in `all_ms` none is counted any more.
    """

    requests: int
    again_ms: int
    all_ms: int
    open: int


class Verdict(NamedTuple):
    """Whether a request may begin.

    `refusal` is empty, or says of what there are too many: `REQUESTS` or `OPEN`. `about` is the
    place of the account that has too many.
    """

    refusal: str
    about: int
    now_ms: int
    standings: Sequence[Standing]


REQUESTS = "REQUESTS"
OPEN = "OPEN"
_OK = "OK"


class Admissions:
    """The requests of limited tenants that one API has begun.

    They are open while `renew` is called at least once in `lease_s`.
    """

    def __init__(self, redis: LinkedRedis, lease_s: float) -> None:
        self._redis = redis
        self._lease_ms = int(lease_s * 1000)
        self._held: dict[str, dict[str, list[str]]] = {}  # tenant → request → users
        self._scripts: dict[str, str] = {}

    async def admit(self, request: str, accounts: Sequence[Account]) -> Verdict:
        """Begins a request that counts for accounts of one tenant, unless there are too many.

        Raises `RedisUnavailable` and `ResponseError`; `leave` is called in any case.
        """
        tenant = accounts[0].tenant
        users = [each.user for each in accounts if each.limits.concurrent]
        if users:
            self._held.setdefault(tenant, {})[request] = users
        asked: list[Arg] = [request, self._lease_ms]
        for each in accounts:
            limits = each.limits
            asked += [tenant_key(each.user), limits.requests_per_minute, limits.concurrent]
        try:
            answer = await self._run("admit", tenant, *asked)
        except RedisUnavailable:  # the link may have been lost before this command
            answer = await self._run("admit", tenant, *asked)
        verdict, place, now_ms, rows = answer
        refusal = "" if verdict.decode() == _OK else verdict.decode()
        return Verdict(refusal, place, int(now_ms), [Standing(*row) for row in rows])

    def leave(self, request: str, accounts: Sequence[Account], *, counts: bool) -> None:
        """The request is over. It counts, or is taken back.

        Where Redis does not hear of it, it stays open until its lease ends.
        """
        tenant = accounts[0].tenant
        held = self._held.get(tenant, {})
        held.pop(request, None)
        if not held:
            self._held.pop(tenant, None)
        keys = TenantKeys(tenant_key(tenant))
        for each in accounts:
            user = tenant_key(each.user)
            if each.limits.concurrent:
                self._ask("ZREM", _named(keys, "open", user), request)
            if each.limits.requests_per_minute and not counts:
                self._ask("ZREM", _named(keys, "requests", user), request)

    def renew(self) -> None:
        """Gives all requests that this API has begun, and that are not over, a further lease."""
        for tenant, held in self._held.items():
            pairs = [(tenant_key(user), id_) for id_, users in held.items() for user in users]
            for start in range(0, len(pairs), _HELD_AT_ONCE):
                some = chain.from_iterable(pairs[start : start + _HELD_AT_ONCE])
                self._ask(*self._call("hold", tenant, self._lease_ms, *some))

    async def _run(self, name: str, tenant: str, *args: Arg) -> list[Any]:
        answer: list[Any] = await self._redis.link.call(*self._call(name, tenant, *args))
        return answer

    def _call(self, name: str, tenant: str, *args: Arg) -> tuple[Arg, ...]:
        known = self._scripts.get(name)
        if known is None:
            known = self._scripts[name] = self._redis.link.load(script_text(name, 0, PROTOCOL))
        return "EVALSHA", known, 1, TenantKeys(tenant_key(tenant)).prefix, *args

    def _ask(self, *command: Arg) -> None:
        """Sends a command whose answer nobody reads. All commands of an API leave in order."""
        self._redis.link.ask(_Unheard(), *command)


class _Unheard:
    """Takes an answer that nobody needs."""

    def done(self) -> bool:
        """See `dispatcher.wire.Waiter`."""
        return False

    def set_result(self, answer: Any) -> None:
        """See `dispatcher.wire.Waiter`."""

    def set_exception(self, error: Exception) -> None:
        """See `dispatcher.wire.Waiter`."""
        if not isinstance(error, RedisUnavailable):
            log.error("Redis can't keep the requests of a tenant: %s", error)


def _named(keys: TenantKeys, name: str, user: str) -> str:
    return keys.named(f"{name}_of", user) if user else keys.named(name)
