"""An API's part in what invited machines may do: it keeps their users and the scripts in Redis."""

import asyncio
import logging
from collections.abc import Callable, Set
from functools import cache

from redis.exceptions import ResponseError

from dispatcher.announcement import FIRST_SERVED
from dispatcher.connection import LinkedRedis
from dispatcher.errors import RedisUnavailable
from dispatcher.invitations import Invitations, holding
from dispatcher.invited_users import admit, end_workers, expel, machines_admitted
from dispatcher.keys import MODELS, Keys
from dispatcher.link import script_sha
from dispatcher.protocol import PROTOCOL
from dispatcher.registry import Registry
from dispatcher.script_text import SCRIPTS, script_text

_SELDOM = 60  # beats from one look for users to the next where nobody is invited

log = logging.getLogger("llamaq.invitations")


class InvitedKeeper:
    """Keeps Redis as the invitations say, at each beat.

    - Every invited machine has its user, and no other machine has one. A Redis that has restarted
      has forgotten them.
    - Redis has the scripts, which these machines may not load.
    - The workers of a machine whose invitation has ended hold no lease.

    `keep_apart` is told which models have invited machines. `invited` are the invitations that held
    a moment ago.
    """

    def __init__(
        self,
        redis: LinkedRedis,
        lease_s: float,
        keep_apart: Callable[[Set[str]], None] = lambda _: None,
    ) -> None:
        self._redis = redis
        self._keep_apart = keep_apart
        self.invited: Invitations = {}
        self._lease_ms = int(lease_s * 1000)
        self._before: Invitations | None = None
        self._missing: set[str] = set()
        self._beats = 0

    async def heed(self, registry: Registry) -> None:
        """Acts on what was read just now. Raises nothing: a later beat does what fails."""
        await self._heed(holding(registry.invitations))
        await self._note_served(registry)

    async def _heed(self, now: Invitations) -> None:
        before = self._before
        self.invited = now
        self._keep_apart({each.model for each in now.values()})
        self._beats += 1
        if not now and not before and self._beats % _SELDOM != 1:
            return
        try:
            await self._keep(now, before)
        except (RedisUnavailable, ResponseError) as error:
            if now or before:  # else it may be a server that hides its users
                log.error("Redis can't be as the invitations say: %s", error)
                return
        self._before = now

    async def _keep(self, now: Invitations, before: Invitations | None) -> None:
        await asyncio.gather(
            self._keep_users(now, is_first=before is None), self._keep_scripts(now)
        )
        for name, each in (before or {}).items():
            if now.get(name) != each:
                await end_workers(self._redis, each, self._lease_ms)

    async def _note_served(self, registry: Registry) -> None:
        """Notes which models invited machines serve: they may not write that themselves."""
        served = [model.model for model in registry.models if model.invited and model.workers]
        said = [
            self._redis.link.call("ZADD", MODELS, int(registry.now_s), model) for model in served
        ]
        for model in served:
            counters, now_s = Keys(model).named("counters"), int(registry.now_s)
            said.append(self._redis.apart(model).call("HSETNX", counters, FIRST_SERVED, now_s))
        for answer in await asyncio.gather(*said, return_exceptions=True):
            if isinstance(answer, Exception):
                log.warning("It can't be noted that invited machines serve a model: %s", answer)

    async def _keep_users(self, now: Invitations, *, is_first: bool) -> None:
        admitted = await machines_admitted(self._redis)
        for machine in admitted - now.keys():
            log.warning(
                "The machine %r has a user in Redis but no invitation: it is removed", machine
            )
            await expel(self._redis, machine)
        missing = now.keys() - admitted
        # What was read may be a moment old: `llamaq uninvite` may have removed it meanwhile.
        wanted = set(now) if is_first else missing & self._missing
        for machine in wanted:
            await admit(self._redis, now[machine])
        self._missing = missing - wanted

    async def _keep_scripts(self, now: Invitations) -> None:
        if not now:
            return
        scripts = _scripts()
        known = await self._redis.link.call("SCRIPT", "EXISTS", *scripts)
        for text, is_there in zip(scripts.values(), known, strict=True):
            if not is_there:
                await self._redis.link.call("SCRIPT", "LOAD", text)


@cache
def _scripts() -> dict[str, str]:
    """All scripts, by their names in Redis."""
    texts = [script_text(script, 0, PROTOCOL) for script in SCRIPTS]
    return {script_sha(text): text for text in texts}
