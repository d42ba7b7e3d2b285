"""Garbage in the keys of Redis: the API, a bridge and the commands read it, and live on."""

import asyncio
import json
import logging
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, NamedTuple

import httpx
from click.testing import CliRunner
from hypothesis import strategies as st
from redis.exceptions import ResponseError

from api.app import create_app
from api.context import Context
from dispatcher.keys import (
    ALIASES,
    INVITED,
    MODELS,
    NAMES,
    REVOKED,
    TENANTS,
    TOKENS,
    WATCH,
    WRITABLE,
    KeptKeys,
    Keys,
    TenantKeys,
)
from dispatcher.settings import QueueSettings
from llamaq.__main__ import main
from testing.builders import SECRET, make_settings, make_token
from testing.stage import QUESTION, WHOLE, Stage
from testing.waiting import until
from tests.fuzz.edge import HANG_S, Crashes, Wrong
from tests.fuzz.values import ODD, spoilt

_COMMANDS: Sequence[Sequence[str]] = (
    *(("status",), ("status", "--json"), ("alias", "list"), ("alias", "list", "--json")),
    *(("invite", "--list"), ("invite", "--list", "--json"), ("token", "list")),
    *(("token", "list", "--json"), ("tenant", "list"), ("tenant", "list", "--json")),
    *(("tenant", "show", "ann"), ("usage",), ("usage", "--by", "user", "--json")),
    *(("usage", "ann", "--csv"), ("tenant", "set", "ann", "--rpm", "9"), ("uninvite", "bob")),
    *(("alias", "set", "x", "y"), ("token", "revoke", "abc"), ("tenant", "remove", "ann")),
    ("token", "create", "ann", "--ttl", "1h"),
)
_LIMITS = {"requests_per_minute": 10**6, "concurrent": 1000, "tokens_per_day": 10**9}
_HASH = "0" * 64
_FAR = int(time.time()) + 10**6
_ROWS: dict[str, dict[str, Any]] = {
    INVITED: {"bob": {"model": "m", "password_hash": _HASH, "invited_s": 1, "ended": ""}},
    TENANTS: {"ann": {"requests_per_minute": 9, "models": ["a"], "tokens_per_day": 5}},
    TOKENS: {"abc": {"jti": "abc", "sub": "ann", "exp": _FAR, "iat": 1, "scopes": ["chat"]}},
}
_TEXTS = st.sampled_from(
    [
        *(b"", b"\0", b"\xff\xfe", b"0", b"-1", b"nan", b"inf", b"1e999", b"9" * 400, b"1 2", b"a"),
        *(b"[" * 20_000, b"{}", b"null", b'"', b"\x1b[2J\n", b"x" * 9000, b"\xed\xa0\x80", b"*"),
        *(b"requests=9 prompt=" + b"9" * 30, b"requests=-1", b"llamaq", b"m", b"||", b"a|b"),
    ]
)
_SCORES = st.sampled_from([0, -1, "inf", "-inf", 1e300, time.time() + 5])


class Deed(NamedTuple):
    """A command that writes garbage to one of the keys; `place` says which one."""

    place: str
    kind: str
    args: tuple[bytes | str | float, ...]


@st.composite
def _rows(draw: st.DrawFn) -> Deed:
    """A row that is nearly good."""
    key = draw(st.sampled_from(sorted(_ROWS)))
    name = draw(st.sampled_from(sorted(_ROWS[key])))
    text = json.dumps(draw(spoilt(_ROWS[key][name]) | ODD)).encode()
    return Deed(key, "HSET", (name, text))


@st.composite
def _garbage(draw: st.DrawFn, places: Sequence[str]) -> Deed:
    """Any type of value, whatever the key should have."""
    kind = draw(
        st.sampled_from(["HSET", "HSET", "HSET", "ZADD", "ZADD", "SET", "SADD", "RPUSH", "XADD"])
    )
    texts: tuple[Any, ...] = (draw(_TEXTS), draw(_TEXTS))
    more: dict[str, tuple[Any, ...]] = {
        "HSET": (draw(_FIELDS | _TEXTS), texts[0]),
        "ZADD": (draw(_SCORES), texts[0]),
        "XADD": ("*", *texts),
    }
    return Deed(draw(st.sampled_from(places)), kind, more.get(kind, texts[:1]))


_FIELDS = st.sampled_from(
    [b"version", b"|version", b"jti x", b"sub x", b"x", b"ann", b"ann|u", b"webui/*", b"bob", b"*"]
)
_KEPT = "kept", "kept_until", "kept_of", "kept_bytes", "kept_total"
SHARED = (
    ALIASES,
    INVITED,
    MODELS,
    REVOKED,
    TENANTS,
    TOKENS,
    WATCH,
    WRITABLE,
    "tenant open",
    "tenant requests",
    *_KEPT,
)
_OTHERS = frozenset({"requests", "requests_of", "open", "open_of", *_KEPT})
_OWN = tuple(name for name in NAMES if name not in _OTHERS)
DEEDS = st.lists(
    _rows() | _garbage((*SHARED, "usage", "usage_users", "aliases_of")), min_size=1, max_size=5
)
COMMANDS = st.sampled_from(_COMMANDS)
OWN_DEEDS = st.lists(_garbage(_OWN), min_size=1, max_size=8)


class Fleet:
    """An API, a bridge and its scripted server on a real Redis, all in this process."""

    def __init__(self, redis_url: str) -> None:
        self.redis_url = redis_url
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._crashes = Crashes()
        self._log = logging.getLogger("llamaq")
        self._level = logging.getLogger().level  # the commands set another one

    def __enter__(self) -> "Fleet":
        self._log.addHandler(self._crashes)
        self._runner.run(self._open())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._runner.run(self._stack.aclose())
        self._runner.close()
        self._log.removeHandler(self._crashes)
        logging.getLogger().setLevel(self._level)

    async def _open(self) -> None:
        app = create_app(make_settings(), QueueSettings(redis_url=self.redis_url))
        await self._stack.enter_async_context(app.router.lifespan_context(app))
        self.context: Context = app.state.context
        transport = httpx.ASGITransport(app=app.middleware_stack)  # type: ignore[arg-type]
        headers = {"Authorization": f"Bearer {make_token(iat=int(time.time()), limits=_LIMITS)}"}
        client = httpx.AsyncClient(
            transport=transport, base_url="http://llamaq", headers=headers, timeout=HANG_S
        )
        self.stage = Stage(self.redis_url, client)
        self._stack.push_async_callback(self.stage.redis.aclose)
        self._stack.push_async_callback(client.aclose)
        await self.stage.redis.flushall()
        await self._stack.enter_async_context(self.stage.bridged(self.stage.server()))
        assert await self.stage.text() == WHOLE

    def shared(self, deeds: Sequence[Deed], command: Sequence[str]) -> None:
        """With garbage in keys that belong to no model all goes on. Raises `Wrong`."""
        self._runner.run(self._shared(deeds, command))

    def own(self, deeds: Sequence[Deed]) -> None:
        """With garbage in keys of the model nothing ends for good. Raises `Wrong`."""
        self._runner.run(self._own(deeds))

    async def _shared(self, deeds: Sequence[Deed], command: Sequence[str]) -> None:
        self._crashes.seen.clear()
        touched = await self._do(deeds)
        try:
            await self._look()
            await self._ask()
            await asyncio.to_thread(self._command, command)
            if self._crashes.seen:
                raise Wrong(self._crashes.seen[0])
        finally:
            await self._tidy(touched)
        await self.context.directory.refresh()
        if await self.stage.text() != WHOLE:
            raise Wrong("the answer is another one")

    async def _own(self, deeds: Sequence[Deed]) -> None:
        touched = await self._do(deeds)
        asking = asyncio.create_task(self.stage.ask())
        try:
            await self._look()
            await asyncio.to_thread(self._command, ("status",))
            answer = (await asyncio.wait({asking}, timeout=0.2))[0]
            if any(one.result().status_code == 500 for one in answer):
                raise Wrong(asking.result().text)
        finally:
            asking.cancel()
            await self._tidy(touched)
        await until(self._serves, timeout_s=30)

    async def _serves(self) -> bool:
        try:
            async with asyncio.timeout(3):
                return (await self.stage.ask()).status_code == 200
        except TimeoutError:
            return False

    async def _look(self) -> None:
        """As every API does each second, and what it answers then."""
        await self.context.directory.refresh()
        for path in ("/v1/models", "/v1/usage", "/ready"):
            answer = await self.stage.client.get(path)
            if answer.status_code not in (200, 503):
                raise Wrong(f"{path}: {answer.status_code} {answer.text}")

    async def _ask(self) -> None:
        """What a limited tenant gets who names a key of its own for the request."""
        once = {"Idempotency-Key": "k"}
        body = {"model": self.stage.model, **QUESTION}
        answer = await self.stage.client.post("/v1/chat/completions", json=body, headers=once)
        if answer.status_code not in (200, 503):
            raise Wrong(f"a chat: {answer.status_code} {answer.text}")

    def _command(self, command: Sequence[str]) -> None:
        environment = {"LLAMAQ_REDIS_URL": self.redis_url, "LLAMAQ_JWT_SECRET": SECRET}
        ended = CliRunner().invoke(main, ["--log-level", "error", *command], env=environment)
        if ended.exception is not None and not isinstance(ended.exception, SystemExit):
            raise Wrong(f"llamaq {' '.join(command)}") from ended.exception

    async def _do(self, deeds: Sequence[Deed]) -> set[bytes]:
        touched = set()
        for deed in deeds:
            key = await self._key(deed.place)
            touched.add(key)
            args = deed.args
            try:
                await self.stage.redis.execute_command(deed.kind, key, *args)
            except ResponseError:  # of another type, or no score
                await self.stage.redis.delete(key)
                with suppress(ResponseError):  # another process may have made it again meanwhile
                    await self.stage.redis.execute_command(deed.kind, key, *args)
        for key in (REVOKED, TENANTS):  # they are read again only where this is new
            if key.encode() in touched and await self.stage.redis.type(key) == b"hash":
                field = "version" if key == REVOKED else "|version"
                await self.stage.redis.hsetnx(key, field, str(time.monotonic_ns()))
        return touched

    async def _key(self, place: str) -> bytes:
        model, today = Keys(self.stage.model), datetime.now(UTC).date().isoformat()
        found = {
            "usage": model.named("usage", today),
            "usage_users": model.named("usage_users", today),
            "aliases_of": model.aliases,
        }.get(place)
        if found is None and place in NAMES:
            found = model.named(place)
        elif place.startswith("tenant"):
            found = TenantKeys("me").named("open" if place.endswith("open") else "requests")
        elif place.startswith("kept"):
            found = KeptKeys().prefix + NAMES[place]
        if found is not None and found.endswith(":"):
            known = await self.stage.redis.keys(found + "*")
            return bytes(min(known)) if known else f"{found}x".encode()
        return (found or place).encode()

    async def _tidy(self, touched: set[bytes]) -> None:
        await self.stage.redis.delete(*touched)
