"""Answers that Redis keeps for requests that come again with their key, and who works on them."""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain
from typing import Any

from redis.exceptions import ResponseError

from dispatcher.connection import LinkedRedis
from dispatcher.job import tenant_key
from dispatcher.keys import KeptKeys
from dispatcher.protocol import PROTOCOL
from dispatcher.scripts import Scripts

LEASE_MS = 5000
"""A key may be used again if its owner has not renewed it for this long."""
WAITS_MS = 3000
"""A request for an answer that grows elsewhere is believed to wait for this long."""
_RENEWED_AT_ONCE = 256

log = logging.getLogger("llamaq.kept")


class Begun(Enum):
    """What a request with a key may do, where there is no answer yet."""

    RUN = "RUN"
    """It is the one that runs."""
    RUNS = "RUNS"
    """Another one runs, whose answer it may wait for."""
    OTHER = "OTHER"
    """The key belongs to another request."""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """A whole answer: what its `head` tells, in words of the API, and the bytes of its body."""

    head: Mapping[str, Any]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bounds:
    """For how long answers are kept, and how many bytes of one tenant and of all together."""

    keep_s: float
    tenant_bytes: int
    all_bytes: int


@dataclass(frozen=True, slots=True)
class Asker:
    """A request: the name of its answer, what tells it from others, and who would run it."""

    name: str
    fingerprint: str
    owner: str


def answer_name(tenant: str, user: str, key: str) -> str:
    """The name of the answer to a tenant's or an end user's request with this key.

    >>> answer_name("ann", "", "k1")[:15]
    'ann|0f3f079c947'
    """
    secret = json.dumps([user, key]).encode()
    return f"{tenant_key(tenant)}|{hashlib.sha256(secret).hexdigest()}"


class KeptAnswers:
    """The answers in Redis. Each method may be called again after `RedisUnavailable`.

    Renewals use the `lifeline`, so that no large answer holds them up.
    """

    def __init__(
        self, redis: LinkedRedis, lifeline: LinkedRedis, bounds: Bounds, clock_offset_ms: int = 0
    ) -> None:
        keys = KeptKeys()
        self._run = Scripts(redis, keys, clock_offset_ms, PROTOCOL).run
        self._run_first = Scripts(lifeline, keys, clock_offset_ms, PROTOCOL).run
        self._link, self._keys = redis.link, keys
        self._bounds = bounds

    async def begin(self, asker: Asker) -> Begun | KeptAnswer:
        """What the request may do, or its answer if that is there.

        An answer that can't be read is thrown away. Raises `RedisUnavailable`.
        """
        with suppress(ResponseError, ValueError):
            return await self._begin(asker)
        log.error("The kept answer %s can't be read, and is thrown away", asker.name)
        await self._link.call("DEL", self._keys.answer(asker.name))
        return await self._begin(asker)

    async def _begin(self, asker: Asker) -> Begun | KeptAnswer:
        about = asker.name, asker.fingerprint, asker.owner
        said = await self._run("begin_once", *about, LEASE_MS, WAITS_MS)
        if said[0] != b"KEPT":
            return Begun(said[0].decode())
        head = json.loads(said[1])
        if not isinstance(head, dict) or said[2] is None:
            raise ValueError("no answer")
        return KeptAnswer(head, said[2])

    async def keep(self, asker: Asker, answer: KeptAnswer) -> bool:
        """Whether the answer is kept: not if another owner has the key meanwhile, or there is no
        room. Raises `RedisUnavailable`.
        """
        bounds = self._bounds
        head = json.dumps(answer.head)
        about = asker.name, asker.fingerprint, asker.owner, head, answer.body
        most = int(bounds.keep_s * 1000), bounds.tenant_bytes, bounds.all_bytes
        try:
            return bool(await self._run("keep_answer", *about, *most))
        except ResponseError as error:
            log.error("The answer %s can't be kept: %s", asker.name, error)
            return False

    async def free(self, asker: Asker, *, if_unwaited: bool = False) -> bool:
        """Whether the key may be used again; with `if_unwaited` not while somebody waits.

        Raises `RedisUnavailable`.
        """
        try:
            return bool(await self._run("free_key", asker.name, asker.owner, int(if_unwaited)))
        except ResponseError:  # no key of ours looks so
            return True

    async def renew(self, askers: Iterable[Asker]) -> None:
        """Says that the answers to these still grow. Raises `RedisUnavailable`."""
        pairs = [(asker.name, asker.owner) for asker in askers]
        for start in range(0, len(pairs), _RENEWED_AT_ONCE):
            some = chain.from_iterable(pairs[start : start + _RENEWED_AT_ONCE])
            with suppress(ResponseError):
                await self._run_first("renew_keys", LEASE_MS, *some)
