"""Names every request, and writes one log line when it is over: no prompts, no tokens of access."""

import logging
from dataclasses import asdict, dataclass
from uuid import uuid4

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("llamaq.access")

_PROBES = ("/v1/health", "/v1/ready")  # asked every few seconds


@dataclass(slots=True)
class Record:
    """What the log tells of a request. Times in milliseconds; None where it never came to it."""

    id: str
    tenant: str | None = None
    tier: str | None = None
    model: str | None = None
    worker: str | None = None
    status: int | None = None
    queue_ms: int | None = None
    ttft_ms: int | None = None
    tokens: int | None = None


def record_of(request: Request) -> Record:
    """The record of this request, for those who know more of it than the log does."""
    record = request.scope["state"]["record"]
    assert isinstance(record, Record)  # noqa: S101
    return record


class RequestLog:
    """ASGI middleware around the app."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = Record(uuid4().hex)
        scope.setdefault("state", {}).update(record=record, request_id=record.id)

        async def naming_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-request-id"] = record.id
                if record.status is None:
                    record.status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, naming_send)
        finally:
            if scope["path"] not in _PROBES:
                log.info(_line(record))


def _line(record: Record) -> str:
    pairs = asdict(record).items()
    return " ".join(f"{name}={_plain(value)}" for name, value in pairs if value is not None)


def _plain(value: str | int) -> str:
    """One word: what a client chose can't forge a second field or line."""
    return "".join(c if c.isprintable() and c not in ' "=' else "_" for c in str(value))
