"""Calls the scripts as apis and bridges do, with defaults for what a test doesn't care about."""

from itertools import chain, count
from typing import Any

from redis.asyncio import Redis

from dispatcher.arguments import GivenBack, QueuedJob
from dispatcher.commands import Bounds, Commands, Identity, Offer, Wish, WorkerStatus
from dispatcher.constants import SIDE_PLACES
from dispatcher.cost import NOTHING, Usage
from dispatcher.frames import Frame, Kind, pack
from dispatcher.job import Toll, generation_of, split_attempt_id
from dispatcher.patience import EAGER, Patience
from testing.queue_contents import QueueContents
from testing.queued_jobs import ended_attempt, queued_job

LEASE_MS = 10_000

Taken = tuple[int, list[str]]


class Desk(QueueContents):
    """One model's queue. `later` moves the scripts' clock, for ever."""

    def __init__(self, redis: Redis, model: str = "tiny") -> None:
        super().__init__(redis, model)
        self.commands = Commands(redis, self.keys)
        self.offset_ms = 0
        self._nonces = (f"n{number:06}" for number in count())

    def later(self, ms: int) -> None:
        self.offset_ms += ms
        self.commands = Commands(self.redis, self.keys, self.offset_ms)

    async def now_ms(self) -> int:
        seconds, micros = await self.redis.time()
        return int(seconds) * 1000 + int(micros) // 1000 + self.offset_ms

    # What apis do.

    async def heartbeat(
        self,
        api: str,
        *jobs: str,
        read_to: str = "0-0",
        read: int = 0,
        boot: str = "boot",
        generation: int = 1,
    ) -> list[bytes]:
        """What it answers, but for the time."""
        asked = [(job, generation) for job in jobs]
        boot_id, last, _, *unknown = await self.commands.api_heartbeat(
            api, 6 * LEASE_MS, read_to, read, boot, asked
        )
        return [boot_id, last, *unknown]

    async def enqueue(
        self,
        *jobs: str,
        api: str = "a",
        attempts: int = 3,
        crashes: int = 2,
        bounds: tuple[int, int] = (1000, 2**20),
        tenant_bounds: tuple[int, int] = (0, 0),
        **more: Any,
    ) -> list[Any]:
        """Each in a call of its own; returns the verdict on the last one."""
        limits = Bounds(attempts, crashes, *bounds, *tenant_bounds)
        answer: list[Any] = []
        for job in jobs:
            (answer,) = await self.commands.enqueue(api, limits, [queued_job(job, **more)])
        return answer

    async def enqueue_together(self, *rows: QueuedJob, max_tenant_running: int = 0) -> list[Any]:
        """In one call; returns the verdict on each."""
        limits = Bounds(999, 999, 1000, 2**20, 0, max_tenant_running)
        return await self.commands.enqueue("a", limits, rows)

    async def cancel(self, *jobs: str, shown: str = "") -> str:
        """The states that they were in."""
        pairs = [(job, shown) for job in jobs]
        return ",".join(state.decode() for state in await self.commands.cancel(pairs))

    async def resume(
        self,
        attempt_id: str,
        *,
        fingerprint: str = "f1",
        estimate: int = 1,
        seen_cost: int = 0,
        seen: str = "",
        body: bytes = b"the rest",
        generation: int = 0,
    ) -> list[Any]:
        """Has the job of an attempt go on, under the next generation where none is given."""
        job, name = split_attempt_id(attempt_id)
        newer = generation or generation_of(name) + 1
        said = seen_cost, seen
        return await self.commands.resume(job, newer, fingerprint, (estimate, 1, 0), said, body)

    # What bridges do.

    async def join(
        self,
        worker: str = "w",
        slots: int = 1,
        *,
        epoch: str = "e",
        accepting: int = 1,
        **more: str | float,
    ) -> list[Any]:
        facts = ("model", "tiny", "health", "healthy", *chain.from_iterable(more.items()))
        status = WorkerStatus(LEASE_MS, slots, accepting, facts)
        verdict, *rest = await self.commands.register(Identity(worker, epoch), status)
        return [verdict, *(rest[:1] + rest[2:] if verdict == b"OK" else rest)]  # without the time

    async def claim_raw(
        self,
        worker: str = "w",
        most: int = 99,
        *,
        epoch: str = "e",
        **wish: Any,
    ) -> list[Any]:
        """What it answers, but for the free side places."""
        answer = await self.commands.claim(Identity(worker, epoch), self._wish(most, **wish))
        return answer[:3] + answer[4:]

    async def claim(self, worker: str = "w", most: int = 99, **more: Any) -> Taken:
        """The free slots left, and the attempt ids of the claimed.

        Claims until nothing comes: one call takes a worker's share of what waits.
        """
        attempt_ids: list[str] = []
        while True:
            verdict, free, _, *rows = await self.claim_raw(worker, most - len(attempt_ids), **more)
            assert verdict == b"OK"
            attempt_ids += [row[0].decode() for row in rows]
            if not (rows and free) or len(attempt_ids) == most or "nonce" in more:
                return free, attempt_ids

    async def take(self, worker: str = "w") -> str:
        """Claims one job; returns the attempt id."""
        _, (attempt_id,) = await self.claim(worker, 1)
        return attempt_id

    async def emit(
        self,
        *attempt_ids: str,
        worker: str = "w",
        epoch: str = "e",
        api: str = "a",
        visible: int = 1,
        payload: bytes = b"x",
        most_unread: int = 2**20,
    ) -> list[bytes]:
        frames = pack([Frame(Kind.CHUNK, 0, 1, payload)])
        rows = [(attempt_id, visible, frames) for attempt_id in attempt_ids]
        return await self.commands.emit(Identity(worker, epoch), api, LEASE_MS, most_unread, rows)

    async def finish(self, attempt_id: str, worker: str = "w", **more: Any) -> str:
        """Takes no job."""
        answer = await self.finish_raw(attempt_id, worker, 0, most_sides=0, **more)
        return str(answer[0], "ascii")

    async def finish_raw(
        self,
        attempt_id: str,
        worker: str = "w",
        most: int = 99,
        *,
        epoch: str = "e",
        state: str = "done",
        cost: int = 1,
        **wish: Any,
    ) -> list[Any]:
        ended, wished = ended_attempt(attempt_id, state, cost), self._wish(most, **wish)
        verdict, *rest = await self.commands.finish(Identity(worker, epoch), wished, [ended])
        if verdict != b"OK" or rest[2] != [1]:
            return [b"FENCED"]
        return [b"OK", *rest[:2], *rest[3:]]

    async def release(
        self,
        attempt_id: str,
        worker: str = "w",
        *,
        epoch: str = "e",
        costs: int = 1,
        crashed: int = 0,
        class_: str = "",
        refusal: str = "",
        setback: int = 0,
        used: Usage = NOTHING,
    ) -> list[str]:
        """Gives a job back; a crash costs an attempt in any case."""
        free = Toll.SETBACK if setback else Toll.NOTHING
        toll = Toll.CRASH if crashed else Toll.ATTEMPT if costs else free
        counts = used.prompt, used.cached, used.completion
        given_back = GivenBack(attempt_id, toll, b'{"e":1}', class_, refusal, *counts)
        answer = await self.commands.release(Identity(worker, epoch), given_back)
        return [word.decode() for word in answer]

    async def is_drained(self, worker: str) -> bool:
        """What a renewal of a worker that would take jobs tells its bridge."""
        status = WorkerStatus(LEASE_MS, 1, 1, ("health", "healthy"))
        return bool((await self.commands.renew(Identity(worker, "e"), status, 5000, ()))[2])

    async def renew(
        self,
        *held: str,
        worker: str = "w",
        slots: int = 1,
        epoch: str = "e",
        accepting: int = 1,
        cost: int = 0,
    ) -> list[Any]:
        status = WorkerStatus(LEASE_MS, slots, accepting, ("health", "healthy"))
        rows = [(attempt_id, cost) for attempt_id in held]
        verdict, *rest = await self.commands.renew(Identity(worker, epoch), status, 5000, rows)
        return [verdict, *rest[2:]]  # without the time, and whether it is drained

    def _wish(
        self,
        most: int,
        *,
        nonce: str = "",
        max_running: int = 0,
        patience: Patience = EAGER,
        most_sides: int = SIDE_PLACES,
    ) -> Wish:
        return Wish(Offer(most, most_sides), nonce or next(self._nonces), max_running, patience)

    # What both do.

    async def reap_raw(self) -> list[Any]:
        """One second later, as every tick."""
        self.later(1000)
        return await self.commands.reap(LEASE_MS, 100)

    async def reap(self) -> list[Any]:
        """The same, with numbers of workers and apis in the place of their names."""
        verdict, *rest = await self.reap_raw()
        if not rest:
            return [verdict]
        workers, jobs, deadlines, apis, *damage = rest
        return [verdict, len(workers) // 3, jobs, deadlines, len(apis), *damage]

    async def reap_after(self, ms: int) -> list[Any]:
        """The tick after `ms` in which there was one every second."""
        self.later(ms - 1000)
        await self.redis.hset(self.keys.named("counters"), "reaped_ms", await self.now_ms())
        return await self.reap()
