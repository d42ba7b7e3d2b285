"""Which web pages may call the API from a browser (CORS, Fetch Standard §3.3)."""

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.origins import ANY
from api.request_log import NO_ID, Record, peer_of, write

REFUSED = "cors_refused"
"""What the log says of a page that may not call the API."""

_PREFLIGHT = {b"origin", b"access-control-request-method"}

# `*` stands for all of them, but not in old browsers.
_EXPOSED = (
    *("*", "retry-after", "x-request-id", "request-id", "x-should-retry"),
    *("x-llamaq-tier", "x-llamaq-worker", "x-llamaq-queue-ms"),
    *("x-llamaq-queue-position", "x-llamaq-queue-eta", "x-llamaq-ignored", "x-llamaq-lost-tokens"),
    *("idempotency-replayed", "x-llamaq-not-kept", "x-llamaq-original-request"),
    *("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests"),
    *("x-ratelimit-reset-requests", "x-ratelimit-limit-tokens"),
    *("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
)


def with_cors(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """An app around `app` that pages of these `origins` may call.

    It must be the outermost one, so that pages may read every answer, refusals and crashes too.
    Browsers send no cookies here, so a page needs a token whatever its origin.
    """
    return _Cors(
        app,
        allow_origins=origins,
        allow_methods=[ANY],
        allow_headers=[ANY],  # those that the browser asks for
        expose_headers=_EXPOSED,
    )


class _Cors(CORSMiddleware):
    """Writes a log line for each preflight that it refuses: the app sees none of them."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection (ASGI)."""

        async def noting_send(message: Message) -> None:
            if message.get("status", 200) >= 400:
                record = Record(NO_ID, "OPTIONS", scope["path"], peer_of(scope.get("client")))
                record.status, record.code = message["status"], REFUSED
                write(record, scope["path"])
            await send(message)

        await super().__call__(scope, receive, noting_send if _is_preflight(scope) else send)


def _is_preflight(scope: Scope) -> bool:
    return (
        scope["type"] == "http"
        and scope["method"] == "OPTIONS"
        and {name for name, _ in scope["headers"]} >= _PREFLIGHT
    )
