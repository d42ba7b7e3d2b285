"""A bridge without a llama-server: it waits and claims as the real one; its jobs only take time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

from redis.asyncio import Redis

from dispatcher.commands import Commands, Offer
from dispatcher.cost import Usage
from dispatcher.errors import Fenced
from dispatcher.frames import Frame, Kind
from dispatcher.job import Claim
from dispatcher.keys import Keys
from dispatcher.patience import EAGER, Patience
from dispatcher.tasks import cancel
from dispatcher.worker import Taken, WorkerFacts, WorkerSession
from worker_bridge.attempts import Attempts
from worker_bridge.calls import Calls
from worker_bridge.claim_policy import ClaimPolicy
from worker_bridge.fleet_watch import FleetWatch
from worker_bridge.server_state import ServerState

LEASE_S = 4.0
DONE = [Frame(Kind.DONE, 0)]


@dataclass(frozen=True, slots=True)
class Sort:
    """What a bridge is like; tokens per second of one slot, 0 where not measured yet."""

    slots: int
    prompt_tps: float = 0
    decode_tps: float = 0
    modalities: str = ""


@dataclass(slots=True)
class Log:
    """What bridges tell: each is called with the bridge first."""

    claimed: Callable[["ToyBridge", Claim], None] = lambda *_: None
    freed: Callable[["ToyBridge", Claim], None] = lambda *_: None
    became: Callable[["ToyBridge"], None] = lambda *_: None
    """Its patience has changed, it has joined, or it has died."""


class CountedSession(WorkerSession):
    """Counts its claims, and tells of a patience that it has not had before."""

    claims = 0
    patience: Patience = EAGER
    changed: Callable[[], None] = staticmethod(lambda: None)

    async def claim(self, offer: Offer, patience: Patience = EAGER) -> Taken:
        self.claims += 1
        if patience != self.patience:
            self.patience = patience
            self.changed()
        return await super().claim(offer, patience)


@dataclass(eq=False)
class ToyBridge:
    """`work` is what a job does here. `clients` are for commands and for blocking."""

    name: str
    sort: Sort
    keys: Keys
    clients: tuple[Redis, Redis]
    work: Callable[["ToyBridge", Claim], Awaitable[None]]
    log: Log = field(default_factory=Log)
    alive: bool = False
    fences: int = 0
    held: dict[str, Claim] = field(default_factory=dict)

    async def open(self) -> None:
        commands, waiter = self.clients
        self.session = CountedSession(self.name, Commands(commands, self.keys), LEASE_S)
        self.session.changed = lambda: self.log.became(self)
        await self.session.register(self.sort.slots, True, self.facts)
        self.alive = True
        self.log.became(self)
        # It starts and stops attempts, says how many it may hold, and nothing else is asked of it.
        attempts = cast(Attempts, self)
        self.policy = ClaimPolicy(self.name, cast(ServerState, self))
        self.calls = Calls(waiter, self.keys, self.session, attempts, self.policy, self._fenced)
        watch = FleetWatch(self.clients[0].link, self.keys)
        works = self.calls.take(), watch.tell(self.policy.heed), self._renew()
        self._tasks = {asyncio.create_task(work) for work in works}

    @property
    def most(self) -> int:
        return self.sort.slots

    @property
    def accepting(self) -> bool:
        return self.alive

    @property
    def free(self) -> int:
        return self.sort.slots - len(self.held) if self.alive else 0

    @property
    def facts(self) -> WorkerFacts:
        sort = self.sort
        return WorkerFacts(
            *(self.keys.model, "http://127.0.0.1", "healthy", 4096, "b1", "f1"),
            modalities=sort.modalities,
            process=f"p-{self.name}",
            prompt_tps=sort.prompt_tps,
            decode_tps=sort.decode_tps,
        )

    def start(self, claim: Claim) -> None:
        if not self.alive:
            return  # the answer to its last claim
        self.held[claim.attempt_id] = claim
        self.log.claimed(self, claim)
        self._tasks.add(task := asyncio.create_task(self._work(claim)))
        task.add_done_callback(self._tasks.discard)

    def stop(self, attempt_id: str, why: Any) -> None:
        """Nothing is cancelled here."""

    async def has_claimed(self) -> bool:
        return self.session.claims > 0

    async def die(self) -> None:
        """Stops without a word."""
        if self.alive:
            self.alive = False
            self.log.became(self)
            await cancel(self._tasks)
            for client in self.clients:
                await client.aclose()

    async def _work(self, claim: Claim) -> None:
        await self.work(self, claim)
        del self.held[claim.attempt_id]
        self.log.freed(self, claim)
        offer, patience = self.policy.offer, self.policy.patience
        taken = await self.session.finish(
            claim.attempt_id, "done", DONE, Usage(1, 1), offer, patience
        )
        for following in taken.claims:
            self.start(following)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE_S / 4)
            try:
                await self.session.renew(
                    self.sort.slots, True, self.facts, dict.fromkeys(self.held, 0)
                )
            except Fenced:
                self._fenced()

    def _fenced(self) -> None:
        self.fences += 1
