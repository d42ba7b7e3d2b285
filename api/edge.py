"""The outermost layer of the app: what is done once for every request, whatever its path."""

import logging
import os
from collections.abc import Awaitable, Mapping

from starlette.applications import Starlette
from starlette.types import Message, Receive, Scope, Send

from api.errors import crash
from api.paths import PROBES, canonical
from api.refusal import refuse
from api.relay import Relay
from api.request_log import Record, peer_of, write
from api.request_metrics import RequestMetrics
from api.request_trace import RequestTrace
from dispatcher.traces import TRACES

log = logging.getLogger("llamaq.api")


class Edge:
    """Names each request, gives the app its canonical path, and at its end writes one log line and
    counts it.

    The `relays` serve their doors, the middleware of `owner` all other paths. An exception that
    neither of them handles is logged. It is answered with a 500, or cuts off an answer that had
    begun.
    `requests` gets the record of each request.
    """

    def __init__(
        self,
        owner: Starlette,
        relays: Mapping[str, Relay],
        requests: RequestMetrics,
    ) -> None:
        self._owner = owner
        self._app = owner.build_middleware_stack()
        self._relays = relays
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        relay = self._relays.get(scope["path"])
        path = canonical(scope["path"]) if relay is None else scope["path"]
        id_header = b"" if relay is None else relay.id_header
        record = _record_of(scope, relay, path)
        has_begun = False

        def named_send(message: Message) -> Awaitable[None]:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                message = _named(message, record, id_header)
            return send(message)

        told = scope.get("state", {})
        state = {
            **told,
            **{"asked_path": scope["path"], "record": record, "request_id": record.id},
        }
        scope = {**scope, "app": self._owner, "path": path, "state": state}
        try:
            await (relay or self._app)(scope, receive, named_send)
        except Exception:
            log.exception("request %s crashed", record.id)
            if not has_begun:
                await _refuse_crash(record, relay, receive, named_send)
        finally:
            if "refused" in told:  # by what reads its bytes
                record.status, record.code = told["refused"]
            write(record, path)
            self._requests.note(record, path)


def _record_of(scope: Scope, relay: Relay | None, path: str) -> Record:
    """What the log will tell of a request to this path, and its trace."""
    peer = peer_of(scope.get("client"))
    record = Record(os.urandom(16).hex(), scope["method"], scope["path"], peer)
    if TRACES.tracer is not None and path not in PROBES:
        name = f"{scope['method']} {path}" if relay else scope["method"]
        record.trace = RequestTrace(TRACES.tracer, scope, name)
    return record


async def _refuse_crash(record: Record, relay: Relay | None, receive: Receive, send: Send) -> None:
    error = crash(record.id)
    record.fail(error)
    await refuse(error, {}, receive, send, relay.errors(error, record.id) if relay else None)


def _named(message: Message, record: Record, id_header: bytes) -> Message:
    """The start of a response, with its request's id, also in this header where it has a name; the
    record gets its status.
    """
    if record.status is None:
        record.status = message["status"]
    headers = [*message.get("headers", ()), (b"x-request-id", record.id.encode())]
    if id_header:
        headers.append((id_header, record.id.encode()))
    if record.ignored:
        headers.append((b"x-llamaq-ignored", record.ignored.encode()))
    return {**message, "headers": headers}
