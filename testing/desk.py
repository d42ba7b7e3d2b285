"""Calls the scripts as apis and bridges do, with defaults for what a test doesn't care about."""

from dataclasses import dataclass
from itertools import chain, count
from typing import Any

from redis.asyncio import Redis

from dispatcher.arguments import Ended, GivenBack, QueuedJob
from dispatcher.commands import Bounds, Commands, Identity, Offer, Wish, WorkerStatus
from dispatcher.constants import SIDE_PLACES
from dispatcher.cost import NOTHING, Usage
from dispatcher.frames import Frame, Kind, pack, unpack
from dispatcher.job import CHAT_PATH, CHUNKS, Toll, generation_of, split_attempt_id
from dispatcher.keys import Keys
from dispatcher.patience import EAGER, Patience

LEASE_MS = 10_000
WAIT_MS = 60_000
DEADLINE_MS = 120_000
FOR_EVER_MS = 2**52

OF_JOBS = (
    *("classes", "turns:", "served:", "idle:", "charged", "waiting", "waiting_bytes"),
    *("busy", "parked"),
)

Taken = tuple[int, list[str]]


@dataclass(frozen=True, slots=True)
class Told:
    """A frame in a reply stream, and the attempt it belongs to."""

    attempt_id: str
    kind: str
    payload: bytes


def queued_job(
    job: str,
    *,
    tenant: str = "ann",
    body: bytes = b"body",
    user: str = "-",
    tier: str = "default",
    weight: float = 1,
    class_: str = "any",
    estimate: int = 1,
    tokens: tuple[int, int] = (1, 0),
    wait_ms: int = WAIT_MS,
    deadline_ms: int = DEADLINE_MS,
    supersedes: str = "",
    prefixes: tuple[str, ...] = (),
    seen_cost: int | str = "",
    seen: str = "",
    path: str = CHAT_PATH,
    form: str = CHUNKS,
    is_admitted: int = 0,
    part: str = "",
    generation: int = 1,
    latest_ms: int = FOR_EVER_MS,
    quota: str = "",
) -> QueuedJob:
    """A job as an api submits it."""
    return QueuedJob(
        id=job,
        generation=generation,
        latest_ms=latest_ms,
        tenant=tenant,
        user=user,
        tier=tier,
        weight=weight,
        needs=class_,
        wants="stream",
        estimate=estimate,
        prompt_tokens=tokens[0],
        completion_tokens=tokens[1],
        wait_ms=wait_ms,
        deadline_ms=deadline_ms,
        supersedes=supersedes,
        remembered=" ".join(prefixes[:1]),
        seen_cost=seen_cost,
        seen=seen,
        path=path,
        form=form,
        is_admitted=is_admitted,
        part=part,
        body=body,
        beginnings=" ".join(prefixes),
        quota=quota,
    )


def ended_attempt(attempt_id: str, state: str = "done", cost: int = 1) -> Ended:
    """An attempt that has ended."""
    return Ended(attempt_id, state, pack([Frame(Kind(state), 0)]), 700, 1100, 300, cost)


class Desk:
    """One model's queue. `later` moves the scripts' clock, for ever."""

    def __init__(self, redis: Redis, model: str = "tiny") -> None:
        self.redis = redis
        self.keys = Keys(model)
        self.commands = Commands(redis, self.keys)
        self.offset_ms = 0
        self._nonces = (f"n{number:06}" for number in count())

    def later(self, ms: int) -> None:
        self.offset_ms += ms
        self.commands = Commands(self.redis, self.keys, self.offset_ms)

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
        nonce: str = "",
        max_running: int = 0,
        patience: Patience = EAGER,
        most_sides: int = SIDE_PLACES,
    ) -> list[Any]:
        """What it answers, but for the free side places."""
        wish = Wish(Offer(most, most_sides), nonce or next(self._nonces), max_running, patience)
        answer = await self.commands.claim(Identity(worker, epoch), wish)
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

    async def finish(
        self,
        attempt_id: str,
        worker: str = "w",
        *,
        epoch: str = "e",
        state: str = "done",
        cost: int = 1,
    ) -> str:
        """Takes no job."""
        answer = await self.finish_raw(
            attempt_id, worker, 0, epoch=epoch, state=state, cost=cost, most_sides=0
        )
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
        nonce: str = "",
        max_running: int = 0,
        patience: Patience = EAGER,
        most_sides: int = SIDE_PLACES,
    ) -> list[Any]:
        wish = Wish(Offer(most, most_sides), nonce or next(self._nonces), max_running, patience)
        ended = ended_attempt(attempt_id, state, cost)
        verdict, *rest = await self.commands.finish(Identity(worker, epoch), wish, [ended])
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

    # What Redis holds.

    async def now_ms(self) -> int:
        seconds, micros = await self.redis.time()
        return int(seconds) * 1000 + int(micros) // 1000 + self.offset_ms

    async def job(self, job: str) -> dict[str, str]:
        row = await self.redis.hgetall(self.keys.named("job", job))
        return {name.decode(): value.decode() for name, value in row.items()}

    async def state(self, job: str) -> str:
        return (await self.job(job)).get("state", "")

    async def queue(self) -> list[str]:
        places = await self.redis.zrange(self.keys.named("queue"), 0, -1)
        return [place.decode().rpartition("|")[2] for place in places]

    async def running(self, worker: str = "w") -> list[str]:
        attempt_ids = await self.redis.zrange(self.keys.named("running", worker), 0, -1)
        return [attempt_id.decode() for attempt_id in attempt_ids]

    async def counter(self, name: str) -> int:
        return int(await self.redis.hget(self.keys.named("counters"), name) or 0)

    async def told(self, api: str = "a") -> list[Told]:
        """The frames in an api's reply stream."""
        rows = await self.redis.xrange(self.keys.named("replies", api))
        return [
            Told(attempt_id.decode(), frame.kind.value, frame.payload)
            for _, fields in rows
            for attempt_id, value in fields.items()
            if attempt_id != b"hello"
            for frame in unpack(value)
        ]

    async def heard(self, api: str = "a") -> list[tuple[str, str]]:
        """The kinds of these frames, each with its attempt id."""
        return [(told.attempt_id, told.kind) for told in await self.told(api)]

    async def rung(self, worker: str = "") -> bool:
        """Whether a bell rings: a worker's own or the one all share; it is silent afterwards."""
        bell = self.keys.named("bell_of", worker) if worker else self.keys.named("bell")
        return bool(await self.redis.delete(bell))

    async def cancels(self, worker: str = "w") -> list[str]:
        attempt_ids = await self.redis.zrange(self.keys.named("cancels", worker), 0, -1)
        return [attempt_id.decode() for attempt_id in attempt_ids]

    async def of_jobs(self) -> list[str]:
        """The keys that are there only while a job waits or runs."""
        keys = [key.decode().rpartition("}:")[2] async for key in self.redis.scan_iter()]
        return sorted(key for key in keys if key.startswith(OF_JOBS))

    async def everything(self) -> dict[str, Any]:
        """All that Redis holds, to see that nothing changed."""
        keys = sorted([key.decode() async for key in self.redis.scan_iter()])
        return {key: await self._value(key) for key in keys}

    async def _value(self, key: str) -> Any:
        kind = (await self.redis.type(key)).decode()
        readers: dict[str, Any] = {
            "string": lambda: self.redis.get(key),
            "hash": lambda: self.redis.hgetall(key),
            "zset": lambda: self.redis.zrange(key, 0, -1, withscores=True),
            "stream": lambda: self.redis.xrange(key),
        }
        return await readers[kind]()
