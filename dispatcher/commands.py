"""The scripts of lua/*.lua, one method each. The head of each file says what the script returns."""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

from dispatcher.arguments import Ended, GivenBack, QueuedJob
from dispatcher.connection import LinkedRedis
from dispatcher.keys import Keys
from dispatcher.patience import Patience
from dispatcher.protocol import PROTOCOL
from dispatcher.redis_address import Arg
from dispatcher.scripts import Scripts

NOT_RUNG = -1

Pairs = Iterable[tuple[str, str | int]]
Facts = Sequence[Arg]
"""Pairs of field and value, one after the other: what redis-cli shows of a worker."""


class WorkerStatus(NamedTuple):
    """What a bridge says of a worker: how long its lease is, and what it can take."""

    lease_ms: int
    slots: int
    accepting: int
    facts: Facts


class Bounds(NamedTuple):
    """What an API lets a queue hold. For the bounds of a tenant 0 is: no bound."""

    max_attempts: int
    max_crashes: int
    max_jobs: int
    max_bytes: int
    max_tenant_jobs: int
    max_tenant_running: int


class Identity(NamedTuple):
    """A worker, and its registration."""

    worker: str
    epoch: str


class Offer(NamedTuple):
    """How many jobs a worker would take: in its `slots`, and of the `sides` that need none.

    0: it only passes a ring on; `NOT_RUNG`: nobody rang for these.
    """

    slots: int = 0
    sides: int = 0


class Wish(NamedTuple):
    """What a claim asks for, under a nonce. At most `max_running` jobs of the model may be in
    slots; 0: no bound.
    """

    offer: Offer
    nonce: str
    max_running: int
    patience: Patience

    @property
    def values(self) -> tuple[Any, ...]:
        """The arguments of lua/claim.lua after the identity."""
        about = self.patience
        speeds = about.prompt_ms, about.token_ms, about.turn_ms, about.backlog_factor
        asked = *self.offer, self.nonce, self.max_running
        return *asked, *speeds, " ".join(about.faster)


class Commands:
    """The queue's scripts on the keys of one model.

    Each raises `RedisUnavailable`; it may then be called again with the same arguments. It raises
    `ResponseError` where a script fails. Strings come back as bytes. For tests `clock_offset_ms`
    moves the scripts' clock, and `protocol` is another version than this build's.
    """

    def __init__(
        self, redis: LinkedRedis, keys: Keys, clock_offset_ms: int = 0, protocol: int = PROTOCOL
    ) -> None:
        self.redis = redis
        self.keys = keys
        self._scripts = Scripts(redis, keys, clock_offset_ms, protocol)
        self._run = self._scripts.run

    def keep_apart(self, *, is_apart: bool) -> None:
        """Whether they use a link for this model alone: invited machines can write to its keys."""
        self._scripts.use(self.redis.apart(self.keys.model) if is_apart else self.redis.link)

    # What APIs call.

    async def api_heartbeat(
        self, api: str, lease_ms: int, read_to: str, read_bytes: int, boot: str, asked: Pairs
    ) -> list[Any]:
        """`asked` are jobs that the API waits for, and their generations."""
        about = api, lease_ms, read_to, read_bytes, boot
        return await self._run("api_heartbeat", *about, *_flat(asked))

    async def enqueue(self, api: str, bounds: Bounds, jobs: Iterable[QueuedJob]) -> list[Any]:
        """A verdict for each job."""
        return await self._run("enqueue", api, *bounds, *_flat(jobs))

    async def resume(
        self,
        job: str,
        generation: int,
        fingerprint: str,
        estimates: tuple[int, int, int],
        seen: tuple[int, str],
        body: bytes,
    ) -> list[Any]:
        """`estimates`: cost, prompt tokens and completion tokens of what is left. `seen`: the cost
        of what the client has seen, and `Shown.text` of it.
        """
        return await self._run("resume", job, generation, fingerprint, *estimates, *seen, body)

    async def cancel(self, jobs: Iterable[tuple[str, str]]) -> list[Any]:
        """The state that each was in. With each job comes `Shown.text`, or ""."""
        return await self._run("cancel", *_flat(jobs))

    async def call_off(self, jobs: Iterable[str]) -> list[Any]:
        """The state that each was in."""
        return await self._run("call_off", *jobs)

    async def drain(self, place: str, *, drained: bool) -> list[Any]:
        """Whether that changed the order for the place, and the workers there."""
        return await self._run("drain", place, int(drained))

    async def position(self, jobs: Iterable[str]) -> list[Any]:
        """Slots, mean milliseconds that a job holds one, and the position of each job."""
        return await self._run("position", *jobs)

    async def roster(
        self, most_workers: int, most_row_bytes: int, counters: Sequence[str], fields: Sequence[str]
    ) -> list[Any]:
        """How many jobs wait; these counters; and of each live worker its name, its attempts and
        these fields. What is not there or too long is None.
        """
        bounds = most_workers, most_row_bytes, len(counters)
        return await self._run("roster", *bounds, *counters, *fields)

    async def waiting_by_tier(self, tiers: Sequence[str]) -> list[Any]:
        """How many jobs wait, and for how many milliseconds the oldest, of each tier."""
        return await self._run("waiting_by_tier", *tiers)

    async def weigh(
        self, cursor: bytes, pattern: str, keys_at_once: int, most_elements: int
    ) -> list[Any]:
        """The next cursor, and the bytes of the keys in between; -1 for too many elements."""
        return await self._run("weigh", cursor, pattern, keys_at_once, most_elements)

    async def wipe(self, cursor: bytes, pattern: str, keys_at_once: int, jobs_stay: int) -> Any:
        """Removes keys; returns the next cursor."""
        return await self._run("wipe", cursor, pattern, keys_at_once, jobs_stay)

    # What bridges call.

    async def register(self, who: Identity, status: WorkerStatus) -> list[Any]:
        """What earlier registrations left, or the rival that has the same server."""
        *about, facts = status
        return await self._run("register", *who, *about, *facts)

    async def renew(
        self, who: Identity, status: WorkerStatus, grace_ms: int, held: Pairs
    ) -> list[Any]:
        """`held` are attempts and what each has cost so far, "" where `look` is asked about it.

        Those that are older than `grace_ms` and not held are given back.
        """
        *about, facts = status
        named = grace_ms, len(facts) // 2, *facts
        return await self._run("renew", *who, *about, *named, *_flat(held))

    async def look(self, who: Identity, held: Pairs) -> list[Any]:
        """As `renew`, for attempts of which `renew` got only the ids."""
        return await self._run("look", *who, *_flat(held))

    async def oldest_waiting(self, worker: str) -> list[Any]:
        """Who waits for the model, and who could serve it, as this worker sees it."""
        return await self._run("oldest_waiting", worker)

    def claim(self, who: Identity, wish: Wish) -> asyncio.Future[list[Any]]:
        """The free slots that are left, when to claim again, and jobs."""
        return self._run("claim", *who, *wish.values)

    def emit(
        self,
        who: Identity,
        api: str,
        lease_ms: int,
        most_unread: int,
        frames: Iterable[tuple[str, int, bytes]],
    ) -> asyncio.Future[list[Any]]:
        """`frames`: attempt id, 1 where a client sees something first, packed frames."""
        about = api, lease_ms, most_unread
        return self._run("emit", *who, *about, *_flat(frames))

    def finish(
        self, who: Identity, wish: Wish, ended: Iterable[Ended]
    ) -> asyncio.Future[list[Any]]:
        """As `claim`. Before the jobs comes for each attempt whether it is over now."""
        return self._run("finish", *who, *wish.values, *_flat(ended))

    async def release(self, who: Identity, given_back: GivenBack) -> list[Any]:
        """What became of the job."""
        return await self._run("release", *who, *given_back)

    # What both call.

    async def reap(self, lease_ms: int, most: int) -> list[Any]:
        """What one tick found; of each kind no more than `most`."""
        return await self._run("reap", lease_ms, most)


def _flat(rows: Iterable[Iterable[Arg]]) -> Iterable[Arg]:
    return chain.from_iterable(rows)
