"""A bridge's side of the queue: its registration, its claims, and how its attempts end."""

import asyncio
import hashlib
import logging
import os
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

from dispatcher.announcement import announce
from dispatcher.arguments import Ended, GivenBack
from dispatcher.batches import Batches
from dispatcher.commands import Commands, Identity, Offer, Wish, WorkerStatus
from dispatcher.constants import HELD_LOOKED_AT
from dispatcher.cost import NOTHING, Usage
from dispatcher.errors import Fenced
from dispatcher.facts import LEFT, Rival, WorkerFacts
from dispatcher.frames import Frame, pack
from dispatcher.insist import insist, wait_out
from dispatcher.job import Claim, Toll
from dispatcher.needs import Needs
from dispatcher.patience import EAGER, Patience
from dispatcher.row import printable
from dispatcher.suspects import SUSPECTED
from dispatcher.taken import Taken, read_taken

_GRACE_MS = 5000  # a claim whose reply was lost is repeated well before this

_MOST_ENDED = 32  # in one call, which takes as many jobs again

_MOST_USED = 10_000
_NOTHING = Offer()

log = logging.getLogger("llamaq.worker")


@dataclass(frozen=True, slots=True)
class Renewal:
    """What Redis says of a worker, and of the attempts that its bridge holds.

    An operator has `drained` the worker. The `foreign` attempts are not, or no longer, its own.
    Nobody waits for the `unwanted` ones. The API of the `orphaned` ones was taken for dead.
    """

    drained: bool
    foreign: list[str]
    unwanted: list[str]
    orphaned: list[str]


class WorkerSession:
    """A worker's side of the queue, over all its registrations.

    Every call raises `RedisUnavailable`, and `ResponseError` where a script fails. All but
    `register` raise `Fenced` when the registration or the attempt is no longer valid. `strangers`
    are the live APIs of another protocol, with its version. `identity` is the worker and its epoch,
    which every script checks. `invited` is the name of this machine where an operator has invited
    it, else empty. `used` is what each ended attempt has used.
    """

    def __init__(
        self, worker: str, commands: Commands, lease_s: float, max_running: int = 0
    ) -> None:
        self.worker = worker
        self.link = commands.redis.link
        self.invited = self.link.invited
        self._commands = commands
        self._lease_ms = int(lease_s * 1000)
        self._max_running = max_running
        self.identity = Identity(worker, "")
        self._nonce = ""
        self._is_announced = False
        self.strangers: dict[str, int] = {}
        self.used: deque[Usage] = deque(maxlen=_MOST_USED)
        self._finishes = Batches(self._finish_all, most=_MOST_ENDED)

    async def register(self, slots: int, accepting: bool, facts: WorkerFacts) -> Rival | None:
        """Joins under a new epoch; what an older one still held is given back.

        Where another worker has the same server, it changes nothing and returns that one.
        """
        who = Identity(self.worker, self.identity.epoch or secrets.token_hex(8))
        status = WorkerStatus(self._lease_ms, slots, int(accepting), facts.pairs)
        verdict, *rest = await self._commands.register(who, status)
        while verdict == b"AGAIN":  # it held very many
            verdict, *rest = await self._commands.register(who, status)
        if verdict == b"TAKEN":
            return Rival(rest[0].decode(), int(rest[1]), rest[2] == 1)
        self.identity = who
        _, now_s, *strangers = rest
        self.strangers = _read_versions(strangers)
        await self._announce(facts, now_s)
        return None

    async def renew(
        self, slots: int, accepting: bool, facts: WorkerFacts, held: Mapping[str, int]
    ) -> Renewal:
        """Says that the bridge lives, what it can take, and what moving attempts have cost."""
        items: list[tuple[str, int | str]] = list(held.items())
        named: list[tuple[str, int | str]] = [(attempt_id, "") for attempt_id in held]
        status = WorkerStatus(self._lease_ms, slots, int(accepting), facts.pairs)
        asked = items[:HELD_LOOKED_AT] + named[HELD_LOOKED_AT:]
        answer = await self._run(lambda who: self._commands.renew(who, status, _GRACE_MS, asked))
        now_s, drained, found = answer[0], answer[1] == 1, [answer[2:5]]
        self.strangers = _read_versions(answer[5:])
        for first in range(HELD_LOOKED_AT, len(items), HELD_LOOKED_AT):  # others get their turn
            piece = items[first : first + HELD_LOOKED_AT]
            found.append(await self._run(partial(self._commands.look, held=piece)))
        await self._announce(facts, now_s)
        return Renewal(drained, *(_attempt_ids(lists) for lists in zip(*found, strict=True)))

    async def _announce(self, facts: WorkerFacts, now_s: int) -> None:
        link, keys, is_new = self.link, self._commands.keys, not self._is_announced
        was_heard = await announce(link, keys, facts, now_s, is_new=is_new)
        self._is_announced = self._is_announced or was_heard

    async def claim(self, offer: Offer, patience: Patience = EAGER) -> Taken:
        """Takes as many jobs as `offer` has places for, never more than are free.

        After `RedisUnavailable` the next call finds the same jobs again, if Redis gave them out.
        """
        self._nonce = self._nonce or os.urandom(8).hex()
        wish = Wish(offer, self._nonce, self._max_running, patience)
        answer = await self._run(partial(self._commands.claim, wish=wish))
        self._nonce = ""
        free, again_ms, free_sides, *jobs = answer
        return read_taken(free, again_ms, jobs, free_sides)

    async def body(self, claim: Claim) -> bytes | None:
        """The request of a claimed job; None when the job has ended meanwhile."""
        if claim.body is not None:
            return claim.body
        body = await self.link.call("GET", self._commands.keys.named("body", claim.job))
        return body if isinstance(body, bytes) else None

    def finish(
        self,
        attempt_id: str,
        state: str,
        frames: list[Frame],
        usage: Usage = NOTHING,
        offer: Offer = _NOTHING,
        patience: Patience = EAGER,
    ) -> asyncio.Future[Taken]:
        """Ends an attempt with its last frames and what it used, and claims as `claim` does.

        Waits out an outage of Redis. Attempts that end together are told in one call: the first of
        them gets the jobs of all.
        """
        self.used.append(usage)
        spent = usage.prompt, usage.completion, usage.cached, usage.cost
        ended = Ended(attempt_id, state, pack(frames), *spent)
        return self._finishes.add(_Finish(ended, offer, patience))

    async def _finish_all(self, finishes: list["_Finish"]) -> list[Taken | Fenced]:
        offer = finishes[0].offer if len(finishes) == 1 else _largest(finishes)
        nonce, patience = os.urandom(8).hex(), finishes[-1].patience
        wish = Wish(offer, nonce, self._max_running, patience)
        ended = [finish.ended for finish in finishes]
        call = partial(self._run, partial(self._commands.finish, wish=wish, ended=ended))
        answer = await (insist(call, "finish", log) if len(ended) == 1 else wait_out(call))
        free, again_ms, over, *jobs = answer
        first = over.index(1) if 1 in over else 0
        taken = read_taken(free, again_ms, jobs)
        others = Taken(taken.free, [], taken.again_s)
        return [
            (taken if i == first else others) if is_over else self._fenced(ended[i].id)
            for i, is_over in enumerate(over)
        ]

    def _fenced(self, attempt_id: str) -> Fenced:
        return Fenced(f"the attempt {attempt_id} is no longer held by the worker {self.worker}")

    async def release(
        self,
        attempt_id: str,
        *,
        toll: Toll,
        error: bytes,
        needs: Needs | None = None,
        refusal: bytes = b"",
        used: Usage = NOTHING,
    ) -> str:
        """Gives a job back; `error` is the JSON that its client gets if nobody else may try.

        With `needs` it waits for a worker that meets them. `refusal` is what the server said where
        that may be the job's fault, and `used` the tokens of the attempt. Returns what became of
        the job (lua/release.lua): `nobody` when no live worker meets the needs, `twice` when the
        job was refused like this before; then nothing was changed.
        """
        class_ = "" if needs is None else str(needs)
        hashed = hashlib.sha1(refusal, usedforsecurity=False).hexdigest() if refusal else ""
        counts = used.prompt, used.cached, used.completion
        given_back = GivenBack(attempt_id, toll, error, class_, hashed, *counts)
        call = partial(self._commands.release, given_back=given_back)
        answer = await insist(lambda: self._run(call), "release", log)
        for name in answer[1:]:
            log.warning(SUSPECTED, printable(name.decode(errors="replace")))
        return str(answer[0], "ascii")

    async def leave(self, facts: WorkerFacts) -> None:
        """Says that the bridge is gone; the next reaper's tick forgets it."""
        status = WorkerStatus(0, 0, 0, replace(facts, health=LEFT).pairs)
        await self._run(lambda who: self._commands.renew(who, status, _GRACE_MS, ()))

    def end_epoch(self) -> None:
        """Forgets the registration, so that the next `register` makes a new one."""
        self.identity = Identity(self.worker, "")
        self._nonce = ""
        self._is_announced = False

    async def _run(self, call: Callable[[Identity], Awaitable[list[Any]]]) -> list[Any]:
        while True:
            identity = self.identity
            verdict, *rest = await call(identity)
            if verdict != b"FENCED":
                return rest
            if identity == self.identity:  # else an epoch that ended meanwhile was refused
                raise Fenced(f"worker {self.worker} is no longer who it thinks")


@dataclass(frozen=True, slots=True)
class _Finish:
    ended: Ended
    offer: Offer
    patience: Patience


def _largest(finishes: Iterable[_Finish]) -> Offer:
    return Offer(*map(max, zip(*[finish.offer for finish in finishes], strict=True)))


def _attempt_ids(lists: Iterable[list[bytes]]) -> list[str]:
    return list(dict.fromkeys(each.decode() for each in chain.from_iterable(lists)))


def _read_versions(pairs: list[Any]) -> dict[str, int]:
    names, versions = pairs[::2], pairs[1::2]
    return {
        printable(name.decode(errors="replace")): int(version)
        for name, version in zip(names, versions, strict=True)
    }
