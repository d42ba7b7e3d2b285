"""A bridge's side of the queue: its registration, its claims, and how its attempts end."""

import asyncio
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dispatcher.announcement import announce
from dispatcher.connection import redis_faults
from dispatcher.cost import NOTHING, Usage
from dispatcher.errors import Fenced, RedisUnavailable
from dispatcher.facts import LEFT, Rival, WorkerFacts
from dispatcher.frames import Frame, pack
from dispatcher.job import Claim, Toll, decode_wants, split_token
from dispatcher.needs import Needs, read_needs
from dispatcher.patience import EAGER, Load, Patience, Speed
from dispatcher.scripts import Arg, Scripts

_GRACE_MS = 5000  # a claim whose reply was lost is repeated well before this
_HEADS = 100
_RETRY_S = 0.2


@dataclass(frozen=True, slots=True)
class Renewal:
    """What Redis says of the attempts that a bridge holds.

    The `foreign` ones are not, or no longer, this worker's. Nobody waits for the `unwanted` ones.
    The API of the `orphaned` ones was taken for dead.
    """

    foreign: list[str]
    unwanted: list[str]
    orphaned: list[str]


@dataclass(frozen=True, slots=True)
class Taken:
    """What a claim brought: the free slots that are left, and jobs.

    In `again_s` seconds (None: never) jobs can be had that are left to other workers now.
    """

    free: int
    claims: list[Claim]
    again_s: float | None


@dataclass(frozen=True, slots=True)
class Fleet:
    """The accepting workers of a model by name, and what they have to do."""

    speeds: Mapping[str, Speed]
    load: Load


class WorkerSession:
    """One registration after the other of one bridge.

    Every call raises `RedisUnavailable`, and, but for `register`, `Fenced` when the registration or
    the attempt is no longer valid.
    """

    def __init__(self, worker: str, scripts: Scripts, lease_s: float, max_running: int = 0) -> None:
        self.worker = worker
        self._scripts = scripts
        self._lease_ms = int(lease_s * 1000)
        self._max_running = max_running
        self._epoch = ""
        self._nonce = ""

    @property
    def identity(self) -> tuple[str, str]:
        """The worker and its epoch, which every script checks."""
        return self.worker, self._epoch

    async def register(self, slots: int, accepting: bool, facts: WorkerFacts) -> Rival | None:
        """Joins under a new epoch; what an older one still held is given back.

        Changes nothing where another worker has the same server, which it then returns.
        """
        epoch = self._epoch or secrets.token_hex(8)
        pairs = facts.pairs
        verdict, *rival = await self._scripts.run(
            "register", self.worker, epoch, self._lease_ms, slots, int(accepting), *pairs
        )
        if verdict == b"TAKEN":
            return Rival(rival[0].decode(), int(rival[1]), rival[2] == 1)
        self._epoch = epoch
        await announce(self._scripts.redis, self._scripts.keys, facts)
        return None

    async def renew(
        self, slots: int, accepting: bool, facts: WorkerFacts, held: Mapping[str, int]
    ) -> Renewal:
        """Says that the bridge lives, what it can take, and what the attempts that still move have
        cost so far.
        """
        pairs = facts.pairs
        answer = await self._run(
            "renew",
            self._lease_ms,
            slots,
            int(accepting),
            _GRACE_MS,
            len(pairs) // 2,
            *pairs,
            *(item for pair in held.items() for item in pair),
        )
        await announce(self._scripts.redis, self._scripts.keys, facts)
        return Renewal(*([token.decode() for token in tokens] for tokens in answer))

    async def claim(self, most: int, patience: Patience = EAGER) -> Taken:
        """Takes up to `most` jobs, never more than there are free slots.

        After `RedisUnavailable` the next call finds the same jobs again, should Redis have handed
        them out.
        """
        self._nonce = self._nonce or secrets.token_hex(8)
        answer = await self._run("claim", *self._wish(most, self._nonce, patience))
        self._nonce = ""
        return _read_taken(answer)

    async def fleet(self) -> Fleet:
        """The workers that share this one's queue."""
        keys = self._scripts.keys
        names = "mean_prompt_tokens", "mean_completion_tokens"
        with redis_faults():
            speeds: Any = await self._scripts.redis.hgetall(keys.named("speeds"))
            found: Any = await self._scripts.redis.hmget(keys.named("counters"), names)
        load = Load(*(float(value or 0) for value in found))
        return Fleet({name.decode(): _read_speed(row) for name, row in speeds.items()}, load)

    async def body(self, claim: Claim) -> bytes | None:
        """The request of a claimed job; None when the job has ended meanwhile."""
        if claim.body is not None:
            return claim.body
        key = self._scripts.keys.named("body", claim.job)
        with redis_faults():
            body = await self._scripts.redis.get(key)
        return body if isinstance(body, bytes) else None

    async def finish(
        self,
        token: str,
        state: str,
        frames: list[Frame],
        usage: Usage = NOTHING,
        most: int = 0,
        patience: Patience = EAGER,
    ) -> Taken:
        """Ends an attempt with its last frames and what it used, and claims up to `most` jobs.

        Waits out an outage of Redis.
        """
        wish = self._wish(most, secrets.token_hex(8), patience)
        spent = usage.prompt, usage.completion, usage.cached, usage.cost
        return _read_taken(await self._insist("finish", *wish, token, state, pack(frames), *spent))

    async def release(
        self,
        token: str,
        *,
        toll: Toll,
        error: bytes,
        needs: Needs | None = None,
        refusal: bytes = b"",
    ) -> str:
        """Gives a job back; `error` is the JSON that its client gets if nobody else may try.

        With `needs` it waits for a worker that meets them. `refusal` is what the server said where
        that may be the job's fault. Returns what became of the job (lua/release.lua): `nobody` when
        no live worker meets the needs, `twice` when the job was refused like this before; then
        nothing was changed.
        """
        class_ = "" if needs is None else str(needs)
        hashed = hashlib.sha1(refusal, usedforsecurity=False).hexdigest() if refusal else ""
        answer = await self._insist("release", token, toll, error, class_, hashed)
        return str(answer[0], "ascii")

    async def leave(self, facts: WorkerFacts) -> None:
        """Says that the bridge is gone; the next reaper's tick forgets it."""
        pairs = replace(facts, health=LEFT).pairs
        await self._run("renew", 0, 0, 0, _GRACE_MS, len(pairs) // 2, *pairs)

    def end_epoch(self) -> None:
        """Forgets the registration, so that the next `register` makes a new one."""
        self._epoch = ""
        self._nonce = ""

    def _wish(self, most: int, nonce: str, patience: Patience) -> tuple[Arg, ...]:
        speeds = patience.prompt_ms, patience.token_ms, patience.turn_ms, patience.behind
        bounds = most, nonce, _HEADS, self._max_running
        return *bounds, *speeds, len(patience.faster), *patience.faster

    async def _insist(self, name: str, *args: Arg) -> list[Any]:
        while True:
            try:
                return await self._run(name, *args)
            except RedisUnavailable:
                await asyncio.sleep(_RETRY_S)

    async def _run(self, name: str, *args: Arg) -> list[Any]:
        while True:
            identity = self.identity
            verdict, *rest = await self._scripts.run(name, *identity, *args)
            if verdict != b"FENCED":
                return rest
            if identity == self.identity:  # else an epoch that ended meanwhile was refused
                raise Fenced(f"worker {self.worker} is no longer who it thinks")


def _read_taken(answer: list[Any]) -> Taken:
    free, again_ms, *rows = answer
    return Taken(int(free), [_read_claim(row) for row in rows], int(again_ms) / 1000 or None)


def _read_claim(row: list[bytes]) -> Claim:
    *about, body = row
    token, api, wants, left_ms, queue_ms, class_ = (item.decode() for item in about)
    return Claim(
        job=split_token(token)[0],
        token=token,
        api=api,
        wants=decode_wants(wants),
        left_s=int(left_ms) / 1000,
        queue_ms=int(queue_ms),
        needs=read_needs(class_),
        body=body or None,
    )


def _read_speed(row: bytes) -> Speed:
    slots, prompt, decode = row.split(b" ")
    return Speed(int(slots), float(prompt), float(decode))
