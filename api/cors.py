"""Which web pages may call the API from a browser (CORS, Fetch Standard §3.3)."""

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from api.origins import ANY

# `*` stands for all of them, but not in old browsers.
_EXPOSED = (
    *("*", "retry-after", "x-request-id", "x-should-retry"),
    *("x-llamaq-tier", "x-llamaq-worker", "x-llamaq-queue-ms"),
    *("x-llamaq-queue-position", "x-llamaq-queue-eta"),
    *("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests"),
)


def install_cors(app: FastAPI, origins: Sequence[str]) -> None:
    """Lets pages of these `origins` call `app` and read its answers, refusals and crashes too.

    To be called last: only the outermost layer sees every answer. Browsers send no cookies here,
    so a page needs a token whatever its origin.
    """
    app.add_middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=[ANY],
        allow_headers=[ANY],  # those that the browser asks for
        expose_headers=_EXPOSED,
    )
