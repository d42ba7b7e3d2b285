"""An invited machine that writes garbage, runs scripts with it, and forges frames."""

import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

from redis.exceptions import ResponseError

from dispatcher.connection import LinkedRedis
from dispatcher.errors import RedisUnavailable
from dispatcher.keys import NAMES, Keys
from dispatcher.link import Link, script_sha
from dispatcher.protocol import PROTOCOL
from dispatcher.script_text import SCRIPTS, script_text

# What a key holds where it is no sorted set.
_KINDS = {
    **dict.fromkeys(("charged", "busy", "job", "worker", "api", "counters", "speeds"), "HSET"),
    **dict.fromkeys(("prefix", "supersede", "body", "loading"), "SET"),
    **{"parked": "SADD", "replies": "XADD"},
}
_FIELDS = (
    *("epoch", "slots", "accepting", "state", "tenant", "api", "worker", "attempt", "place"),
    *("class", "tier", "user", "deadline_ms", "path", "attempts", "weight", "estimate", "server"),
    *("claimed_ms", "cancelled", "visible", "reaped_ms", "sequence", "boot", "queued_bytes"),
    *("running", "mean_service_ms", "written_bytes", "read_bytes", "protocol", "renewed_ms"),
    *("generation", "prefix", "wants", "prompt_tokens", "suspect", "crashes", "recount"),
    *("damaged_untold", "last_damage", "capped", "invited"),
)
_WORDS = (
    *(b"", b"\x00", b"\xff\xfe", b"-1", b"0", b"1", b"1e308", b"nan", b"inf", b"-inf", b"9" * 400),
    *(b"many", b"||||||", b"a|b|c|d|e|f", b"{}", b"running", b"queued", b"lost", b"done", b"side"),
    *(b"any", b"side|x", b"context>1", b"any|default|ann|-|1|j", b"x" * 5000, b"\x1b[2J\n"),
    b"1e15",
    *(b"9007199254740993", b"-9007199254740993", b"0x10", b" 1 ", b"1 2 3", b"chunk 0 0 -14\n"),
)
_PAYLOADS = (
    *(b"", b"{}", b"[]", b"null", b"\xff\xff", b"[" * 3000),
    *(b'{"worker":"w","queue_ms":1,"build":"b"}', b'{"worker":[],"queue_ms":"x"}'),
    *(b'{"worker":"w\\r\\nSet-Cookie: a=b","queue_ms":1}', b'{"status":999,"body":"x"}'),
    *(b'{"worker":"w","queue_ms":1e999,"build":{}}', b'{"status":"a","body":[]}'),
    *(b'{"code":[],"message":{}}', b'{"completion_tokens":"x"}', b"data: [1]\n\n"),
    *(b'data: {"choices":[{"delta":5}]}\n\n', b'data: {"id":5,"choices":{}}\n\n'),
    b'data: {"choices":[{"delta":{"content":"x"},"index":0}]}\n\n',
)
_FRAMES = (
    *("started", "prompt", "chunk", "done", "rejected", "failed"),
    *("revoked", "lost", "expired", "dropped", "bogus"),
)
_SCORES = 0, 1, -1, "inf", "-inf", 1e15, -1e300


class Vandal:
    """Writes to the keys of one model. `eyes` see all: it guesses each name that exists."""

    def __init__(self, link: Link, eyes: LinkedRedis, model: str, seed: int) -> None:
        self._link = link
        self._eyes = eyes.link
        self._keys = Keys(model)
        self._random = random.Random(seed)  # noqa: S311
        self._scripts = [script_sha(script_text(name, 0, PROTOCOL)) for name in SCRIPTS]

    async def rage(self) -> None:
        """Does twenty things, to what is there now."""
        names = [*_WORDS[:5], *[name async for name in self._names()]]
        for _ in range(20):
            for command in self._one(names):
                with suppress(ResponseError, RedisUnavailable):  # another type, or not allowed
                    await self._link.call(*command)

    async def clear(self) -> None:
        """Begins anew: else nothing would be reached behind the first key that is broken."""
        for name, ending in NAMES.items():
            if not ending.endswith(":"):
                await self._link.call("DEL", self._keys.named(name))

    async def _names(self) -> AsyncIterator[bytes]:
        for name in ("workers", "apis"):
            with suppress(ResponseError):
                for found in await self._eyes.call("ZRANGE", self._keys.named(name), 0, 5):
                    yield found
        pattern = self._keys.prefix + "job:*"
        _, jobs = await self._eyes.call("SCAN", 0, "MATCH", pattern, "COUNT", 2000)
        for job in jobs[-5:]:
            yield job.rpartition(b":")[2]
            try:
                attempt = await self._eyes.call("HGET", job, "attempt")
            except ResponseError:
                continue
            yield job.rpartition(b":")[2] + b":" + (attempt or b"")

    def _one(self, names: list[bytes]) -> Iterator[tuple[str | bytes | int | float, ...]]:
        pick = self._random.choice
        what = self._random.random()
        if what < 0.2:
            args = [self._value(names) for _ in range(self._random.randrange(16))]
            yield ("EVALSHA", pick(self._scripts), 1, self._keys.prefix, *args)
        elif what < 0.4:
            for name in names:  # one of them is the API
                stream = self._keys.prefix.encode() + b"replies:" + name
                yield ("XADD", stream, "NOMKSTREAM", "*", pick(names), self._frames())
        else:
            yield self._write(names, pick(list(NAMES)))

    def _write(self, names: list[bytes], name: str) -> tuple[str | bytes | int | float, ...]:
        pick, value = self._random.choice, self._value(names)
        key = self._keys.named(name).encode() + (pick(names) if NAMES[name].endswith(":") else b"")
        is_odd = self._random.random() < 0.02
        kind = pick(("SET", "DEL")) if is_odd else _KINDS.get(name, "ZADD")
        more: dict[str, tuple[str | bytes | int | float, ...]] = {
            "HSET": (pick(_FIELDS), value),
            "ZADD": (pick((*_SCORES, time.time() * 1000 + 5000)), value),
            "XADD": ("*", value, value),
            "DEL": (),
        }
        return (kind, key, *more.get(kind, (value,)))

    def _value(self, names: list[bytes]) -> bytes:
        return self._random.choice((self._random.choice(_WORDS), self._random.choice(names)))

    def _frames(self) -> bytes:
        pick = self._random.choice
        payload = pick(_PAYLOADS)
        begins = f"{pick(_FRAMES)} {pick((0, 0, 1, 2, -1, 10**12))} {pick((0, 1, -1))}"
        back_to_itself = -(len(begins) + len(" -99\n"))
        size = pick((len(payload), len(payload), len(payload), -1, back_to_itself, 10**9))
        return f"{begins} {size}\n".encode() + payload
