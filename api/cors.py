"""Which web pages may call the API from a browser (CORS, Fetch Standard §3.3)."""

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from api.origins import ANY

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
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=[ANY],
        allow_headers=[ANY],  # those that the browser asks for
        expose_headers=_EXPOSED,
    )
