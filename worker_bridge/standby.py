"""A model that a bridge could load: it is registered, so that requests for it may wait."""

import secrets
import socket
from contextlib import suppress
from dataclasses import replace

from redis.exceptions import ResponseError

from dispatcher.commands import Commands
from dispatcher.demand import Demand, read_demand
from dispatcher.errors import Fenced, RedisUnavailable
from dispatcher.facts import UNLOADED, WorkerFacts
from dispatcher.orders import place_of
from dispatcher.worker import WorkerSession


class Standby:
    """The registration of one model while it is not loaded: as a worker without slots.

    While it is drained or paused (`paused_until_s`), it sees no waiting jobs, and so is not loaded.
    Every call raises `RedisUnavailable` and `ResponseError`.
    """

    def __init__(self, model: str, name: str, commands: Commands, lease_s: float) -> None:
        self.model = model
        self.worker = f"{name}-{secrets.token_hex(3)}"
        self.commands = commands
        self.health, self.reason, self.paused_until_s = UNLOADED, "", 0
        self._session = WorkerSession(self.worker, commands, lease_s)
        self._is_here = self._is_drained = False
        about = WorkerFacts(model, "", UNLOADED, 0, "", "", host=socket.gethostname())
        self._about = replace(about, place=place_of(name))

    def remember(self, facts: WorkerFacts) -> None:
        """Keeps the facts of the model from when it was loaded: they hold for the next load."""
        self._about = replace(
            facts,
            server="",
            process="",
            server_id="",
            foreign=0,
            breaker="closed",
            prompt_tps=0,
            decode_tps=0,
        )

    async def say(self) -> None:
        """Joins, or renews the registration."""
        about, until_s = self._about, self.paused_until_s
        facts = replace(about, health=self.health, reason=self.reason, paused_until_s=until_s)
        try:
            if not self._is_here:
                await self._join(facts)
            await self._renew(facts)
        except Fenced:
            self._session.end_epoch()
            await self._join(facts)

    async def _join(self, facts: WorkerFacts) -> None:
        await self._session.register(0, False, facts)
        self._is_here = True

    async def _renew(self, facts: WorkerFacts) -> None:
        self._is_drained = (await self._session.renew(0, False, facts, {})).drained

    async def look(self) -> Demand:
        """Renews, and says who waits for the model."""
        await self.say()
        rests = self._is_drained or self.paused_until_s > 0
        return Demand() if rests else await read_demand(self.commands, self.worker)

    async def leave(self) -> None:
        """Another worker of this bridge serves the model now, or none will."""
        if self._is_here:
            self._is_here = False
            with suppress(Fenced, RedisUnavailable, ResponseError):
                await self._session.leave(self._about)
            self._session.end_epoch()
