"""A bridge's side of the queue: its registration, its claims, and how its attempts end."""

import asyncio
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from redis.asyncio import Redis

from dispatcher.connection import BLOCK_S, redis_faults
from dispatcher.errors import Fenced, RedisUnavailable
from dispatcher.frames import Frame, pack
from dispatcher.job import Claim, decode_wants, split_token
from dispatcher.keys import MODELS, Keys
from dispatcher.scripts import Arg, Scripts

_GRACE_MS = 5000  # a claim whose reply was lost is repeated well before this
_HEADS = 100
_RETRY_S = 0.2


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """What a worker says of itself, for the API, `llamaq status` and redis-cli."""

    model: str
    server: str
    health: str
    context: int
    build: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Renewal:
    """What Redis says of the attempts that a bridge holds."""

    foreign: list[str]
    unwanted: list[str]


class WorkerSession:
    """One registration after the other of one bridge.

    Every call raises `RedisUnavailable`, and, but for `register`, `Fenced` when the registration or
    the attempt is no longer valid.
    """

    def __init__(self, worker: str, scripts: Scripts, lease_s: float) -> None:
        self.worker = worker
        self._scripts = scripts
        self._lease_ms = int(lease_s * 1000)
        self._epoch = ""
        self._nonce = ""

    @property
    def identity(self) -> tuple[str, str]:
        """The worker and its epoch, which every script checks."""
        return self.worker, self._epoch

    async def register(self, slots: int, accepting: bool, facts: WorkerFacts) -> None:
        """Joins under a new epoch; what an older one still held is given back."""
        epoch = self._epoch or secrets.token_hex(8)
        pairs = _pairs(facts)
        await self._scripts.run(
            "register", self.worker, epoch, self._lease_ms, slots, int(accepting), *pairs
        )
        self._epoch = epoch
        await self._announce(facts.model)

    async def _announce(self, model: str) -> None:
        redis = self._scripts.redis
        with redis_faults():
            time: Any = await redis.time()
            await redis.zadd(MODELS, {model: time[0]})

    async def renew(
        self, slots: int, accepting: bool, facts: WorkerFacts, held: Iterable[str]
    ) -> Renewal:
        """Says that the bridge lives, what it can take, and which of its attempts still move."""
        pairs = _pairs(facts)
        answer = await self._run(
            "renew",
            self._lease_ms,
            slots,
            int(accepting),
            _GRACE_MS,
            len(pairs) // 2,
            *pairs,
            *held,
        )
        await self._announce(facts.model)
        foreign, unwanted = ([token.decode() for token in tokens] for tokens in answer)
        return Renewal(foreign, unwanted)

    async def claim(self, most: int) -> tuple[int, list[Claim]]:
        """Takes up to `most` jobs, never more than there are free slots.

        Returns the free slots that are left and the jobs. After `RedisUnavailable` the next call
        finds the same jobs again, should Redis have handed them out.
        """
        self._nonce = self._nonce or secrets.token_hex(8)
        free, *rows = await self._run("claim", most, self._nonce, self._lease_ms, _HEADS)
        self._nonce = ""
        return int(free), [_read_claim(row) for row in rows]

    async def body(self, claim: Claim) -> bytes | None:
        """The request of a claimed job; None when the job has ended meanwhile."""
        key = self._scripts.keys.named("body", claim.job)
        with redis_faults():
            body = await self._scripts.redis.get(key)
        return body if isinstance(body, bytes) else None

    async def finish(
        self, token: str, state: str, frames: list[Frame], usage: tuple[int, int] = (0, 0)
    ) -> None:
        """Ends an attempt with its last frames and its (prompt, completion) tokens; waits out an
        outage of Redis.
        """
        await self._insist("finish", token, state, pack(frames), *usage)

    async def release(self, token: str, *, costs: bool, crashed: bool, error: bytes) -> None:
        """Gives a job back; `error` is the JSON that its client gets if nobody else may try."""
        await self._insist("release", token, int(costs), int(crashed), error)

    async def leave(self, facts: WorkerFacts) -> None:
        """Says that the bridge is gone; the next reaper's tick forgets it."""
        pairs = _pairs(facts)
        await self._run("renew", 0, 0, 0, _GRACE_MS, len(pairs) // 2, *pairs)

    def end_epoch(self) -> None:
        """Forgets the registration, so that the next `register` makes a new one."""
        self._epoch = ""
        self._nonce = ""

    async def _insist(self, name: str, *args: Arg) -> None:
        while True:
            try:
                await self._run(name, *args)
            except RedisUnavailable:
                await asyncio.sleep(_RETRY_S)
            else:
                return

    async def _run(self, name: str, *args: Arg) -> list[Any]:
        verdict, *rest = await self._scripts.run(name, *self.identity, *args)
        if verdict == b"FENCED":
            raise Fenced(f"worker {self.worker} is no longer registered as it thinks")
        return rest


async def wait_for_call(redis: Redis, keys: Keys, worker: str, *, has_room: bool) -> str | None:
    """Blocks, up to `BLOCK_S`, until there is something to do; needs a client of its own.

    Returns the token of an attempt to cancel, or None when the bridge should claim. A bridge
    without room doesn't listen to the bell that all share: it would take the ring from one that
    has room.
    """
    bells = [keys.named("cancels", worker), keys.named("bell_of", worker)]
    if has_room:
        bells.append(keys.named("bell"))
    with redis_faults():
        popped: Any = await redis.bzpopmin(bells, timeout=BLOCK_S)
    if popped and popped[0] == bells[0].encode():
        return str(popped[1], "ascii")
    return None


def _pairs(facts: WorkerFacts) -> list[Arg]:
    return [item for pair in asdict(facts).items() for item in pair]


def _read_claim(row: list[bytes]) -> Claim:
    token, api, wants, left_ms, queue_ms = (item.decode() for item in row)
    return Claim(
        split_token(token)[0], token, api, decode_wants(wants), int(left_ms) / 1000, int(queue_ms)
    )
