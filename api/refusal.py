"""Says no to a request, for as little work as can be."""

import asyncio
import json
import random
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from starlette.types import Receive, Send

from api.errors import MAX_RETRY_AFTER_S, ApiError, unavailable

CLOSE: Mapping[str, str] = {"Connection": "close"}
OVERLOADED = "overloaded"
"""The code of a refusal because more comes than can be served."""

_LAST_BYTES = 4 * 2**20
_LAST_S = 2.0
_A_WHILE_S = 5.0
_NAME = "{request}"


def overloaded(wait_s: float) -> ApiError:
    """A 503: the client may come again in about `wait_s`, but not all of them at once.

    It may keep its connection: a new one costs more than all else of a refusal.
    """
    return _overloaded(spread_s(wait_s))


def too_much_of_a_tenant(wait_s: float) -> ApiError:
    """A 429: the tenant's own requests have taken the memory that it may have."""
    message = "Your open requests hold as much memory as you may have. Please wait for some of them"
    return refused_for_a_while("tenant_memory_full", message, wait_s)


def too_many_of_a_tenant(most: int) -> ApiError:
    """A 429: the tenant has as many open requests as it may have."""
    message = (
        f"You have {most} open requests, which is as many as you may have at a time. "
        "Please wait for some of them"
    )
    return refused_for_a_while("tenant_requests_full", message, _A_WHILE_S)


def refused_for_a_while(code: str, message: str, wait_s: float) -> ApiError:
    """A 429 of this code. The message, without its full stop, goes on with when to come again."""
    seconds = spread_s(wait_s)
    return ApiError(
        429,
        f"{message}, or try again in {seconds} s.",
        type="rate_limit_error",
        code=code,
        headers={"Retry-After": str(seconds)},
    )


def overloaded_answer(wait_s: float, request_id: str) -> bytes:
    """The same as the bytes of a whole answer in HTTP/1.1."""
    before, after = _prepared(spread_s(wait_s))
    return b"".join((before, request_id.encode(), after))


@lru_cache(MAX_RETRY_AFTER_S)
def _prepared(seconds: int) -> tuple[bytes, bytes]:
    """The parts of such an answer before and after the name of the request."""
    error = _overloaded(seconds)
    error.headers["x-request-id"] = _NAME
    before, _, after = whole_answer(error).partition(_NAME.encode())
    return before, after


def _overloaded(seconds: int) -> ApiError:
    message = f"More requests come than this API gets through. Please try again in {seconds} s."
    return unavailable(message, OVERLOADED, seconds)


def spread_s(wait_s: float) -> int:
    """Whole seconds, about `wait_s`: the clients come again at different times."""
    spread_s = wait_s * random.uniform(0.5, 1.5)  # noqa: S311
    return min(max(1, round(spread_s)), MAX_RETRY_AFTER_S)


async def refuse(
    error: ApiError,
    headers: Mapping[str, str],
    receive: Receive,
    send: Send,
    body: Mapping[str, Any] | None = None,
) -> None:
    """Sends an error with this body, else OpenAI's (ASGI). It closes the connection where the error
    says so.

    Before it closes, it reads a part of the body that is on its way. Clients read no answer before
    they have sent all. Where a socket is closed with something unread, its peer loses the answer.
    A client that asks before it sends its body (`Expect`) may send none now: that connection ends.
    """
    said = _json(error.body() if body is None else body)
    asks_first = "expect" in headers
    named = {**error.headers, **CLOSE} if asks_first else error.headers
    await send(
        {"type": "http.response.start", "status": error.status, "headers": _raw(named, said)}
    )
    is_last = asks_first or "Connection" not in named
    await send({"type": "http.response.body", "body": said, "more_body": not is_last})
    if not is_last:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_S):
                await _read_rest(receive)
        await send({"type": "http.response.body"})


def whole_answer(error: ApiError) -> bytes:
    """All bytes of the answer that says it, in HTTP/1.1."""
    body = _json(error.body())
    lines = [b"%b: %b\r\n" % header for header in _raw(error.headers, body)]
    status = b"HTTP/1.1 %d %b\r\n" % (error.status, HTTPStatus(error.status).phrase.encode())
    return b"".join([status, *lines, b"\r\n", body])


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _raw(headers: Mapping[str, str], body: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-length", b"%d" % len(body)),
        (b"content-type", b"application/json"),
        *[(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
    ]


async def _read_rest(receive: Receive) -> None:
    left = _LAST_BYTES
    while left > 0:
        message = await receive()
        if not message.get("more_body"):
            return
        left -= len(message["body"])
