"""A bridge's side of the queue: its registration, its claims, and how its attempts end."""

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from redis.exceptions import ResponseError

from dispatcher.announcement import announce
from dispatcher.constants import HELD_LOOKED_AT
from dispatcher.cost import NOTHING, Usage
from dispatcher.errors import Fenced, RedisUnavailable
from dispatcher.facts import LEFT, Rival, WorkerFacts
from dispatcher.fleet import Fleet, fetch_fleet
from dispatcher.frames import Frame, pack
from dispatcher.job import Claim, Toll
from dispatcher.needs import Needs
from dispatcher.patience import EAGER, Patience
from dispatcher.redis_address import Arg
from dispatcher.scripts import Scripts
from dispatcher.taken import Taken, read_taken

_GRACE_MS = 5000  # a claim whose reply was lost is repeated well before this
_RETRY_S = 0.2
_TRIES = 3

log = logging.getLogger("llamaq.worker")


@dataclass(frozen=True, slots=True)
class Renewal:
    """What Redis says of the attempts that a bridge holds.

    The `foreign` ones are not, or no longer, this worker's. Nobody waits for the `unwanted` ones.
    The API of the `orphaned` ones was taken for dead.
    """

    foreign: list[str]
    unwanted: list[str]
    orphaned: list[str]


class WorkerSession:
    """One registration after the other of one bridge.

    Every call raises `RedisUnavailable`, `ResponseError` where a script fails, and, but for
    `register`, `Fenced` when the registration or the attempt is no longer valid. `strangers` are
    the live apis that speak another protocol, and which.
    """

    def __init__(self, worker: str, scripts: Scripts, lease_s: float, max_running: int = 0) -> None:
        self.worker = worker
        self._scripts = scripts
        self._lease_ms = int(lease_s * 1000)
        self._max_running = max_running
        self._epoch = ""
        self._nonce = ""
        self.strangers: dict[str, int] = {}

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
        verdict, *rest = await self._scripts.run(
            "register", self.worker, epoch, self._lease_ms, slots, int(accepting), *pairs
        )
        if verdict == b"TAKEN":
            return Rival(rest[0].decode(), int(rest[1]), rest[2] == 1)
        self._epoch = epoch
        self.strangers = _read_versions(rest[1:])
        await announce(self._scripts.link, self._scripts.keys, facts)
        return None

    async def renew(
        self, slots: int, accepting: bool, facts: WorkerFacts, held: Mapping[str, int]
    ) -> Renewal:
        """Says that the bridge lives, what it can take, and what the attempts that still move have
        cost so far.
        """
        pairs, items = facts.pairs, list(held.items())
        answer = await self._run(
            "renew",
            self._lease_ms,
            slots,
            int(accepting),
            _GRACE_MS,
            len(pairs) // 2,
            *pairs,
            *(item for pair in items[:HELD_LOOKED_AT] for item in pair),
            *(item for token, _ in items[HELD_LOOKED_AT:] for item in (token, "")),
        )
        self.strangers = _read_versions(answer[3:])
        found = [answer[:3]]
        for first in range(HELD_LOOKED_AT, len(items), HELD_LOOKED_AT):  # others get their turn
            piece = items[first : first + HELD_LOOKED_AT]
            found.append(await self._run("look", *(item for pair in piece for item in pair)))
        await announce(self._scripts.link, self._scripts.keys, facts)
        return Renewal(*(_tokens(lists) for lists in zip(*found, strict=True)))

    async def claim(self, most: int, patience: Patience = EAGER) -> Taken:
        """Takes up to `most` jobs, never more than there are free slots.

        After `RedisUnavailable` the next call finds the same jobs again, should Redis have handed
        them out.
        """
        self._nonce = self._nonce or secrets.token_hex(8)
        answer = await self._run("claim", *self._wish(most, self._nonce, patience))
        self._nonce = ""
        return read_taken(answer)

    async def fleet(self) -> Fleet:
        """The workers that share this one's queue."""
        return await fetch_fleet(self._scripts.link, self._scripts.keys)

    async def body(self, claim: Claim) -> bytes | None:
        """The request of a claimed job; None when the job has ended meanwhile."""
        if claim.body is not None:
            return claim.body
        key = self._scripts.keys.named("body", claim.job)
        body = await self._scripts.link.call("GET", key)
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
        return read_taken(await self._insist("finish", *wish, token, state, pack(frames), *spent))

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
        return most, nonce, self._max_running, *speeds, " ".join(patience.faster)

    async def _insist(self, name: str, *args: Arg) -> list[Any]:
        """Waits out an outage; of a script that fails the caller hears after some tries."""
        tries = 0
        while True:
            try:
                return await self._run(name, *args)
            except RedisUnavailable:
                await asyncio.sleep(_RETRY_S)
            except ResponseError as error:
                tries += 1
                if tries == _TRIES:
                    raise
                log.error("The script %s failed: %r", name, error)
                await asyncio.sleep(_RETRY_S * tries)

    async def _run(self, name: str, *args: Arg) -> list[Any]:
        while True:
            identity = self.identity
            verdict, *rest = await self._scripts.run(name, *identity, *args)
            if verdict != b"FENCED":
                return rest
            if identity == self.identity:  # else an epoch that ended meanwhile was refused
                raise Fenced(f"worker {self.worker} is no longer who it thinks")


def _tokens(lists: Iterable[list[bytes]]) -> list[str]:
    return list(dict.fromkeys(token.decode() for tokens in lists for token in tokens))


def _read_versions(pairs: list[Any]) -> dict[str, int]:
    names, versions = pairs[::2], pairs[1::2]
    return {
        name.decode(errors="replace"): int(version)
        for name, version in zip(names, versions, strict=True)
    }
