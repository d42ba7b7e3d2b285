"""Says no to a request, and ends its connection, for as little work as can be."""

import asyncio
import random
from collections.abc import Mapping
from contextlib import suppress

from starlette.types import Receive, Send

from api.errors import MAX_RETRY_AFTER_S, ApiError

_LAST_BYTES = 4 * 2**20
_LAST_S = 2.0


def overloaded(wait_s: float) -> ApiError:
    """A 503: the client may come again in about `wait_s`, but not all of them at once."""
    spread_s = wait_s * random.uniform(0.5, 1.5)  # noqa: S311
    seconds = min(max(1, round(spread_s)), MAX_RETRY_AFTER_S)
    return ApiError(
        503,
        f"More requests come than this API gets through. Please try again in {seconds} s.",
        type="server_error",
        code="overloaded",
        headers={"Retry-After": str(seconds), "Connection": "close"},
    )


async def refuse(error: ApiError, headers: Mapping[str, str], receive: Receive, send: Send) -> None:
    """Sends an error, and closes the connection where the error says so (ASGI).

    Before it closes, it reads a part of the body that is on its way. Clients read no answer before
    they have sent all. Where a socket is closed with something unread, its peer loses the answer.
    """
    response = error.response()
    start = {"status": response.status_code, "headers": response.raw_headers}
    await send({"type": "http.response.start", **start})
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    if "Connection" in error.headers and "expect" not in headers:  # who asks first sends no more
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_S):
                await _read_rest(receive)
    await send({"type": "http.response.body"})


async def _read_rest(receive: Receive) -> None:
    left = _LAST_BYTES
    while left > 0:
        message = await receive()
        if not message.get("more_body"):
            return
        left -= len(message["body"])
