"""The outermost layer of the app: what is done once for every request, whatever its path."""

import logging
import os
from collections.abc import Awaitable, Mapping

from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import crash
from api.paths import canonical
from api.request_log import Record, write

log = logging.getLogger("llamaq.api")


class Edge:
    """Names each request, gives the app its canonical path, and writes one log line at its end.

    Paths in `relays` are served by these apps, all others by the middleware of `owner`. What
    neither of them took is logged and answered with a 500, or cuts an answer that had begun.
    """

    def __init__(self, owner: Starlette, relays: Mapping[str, ASGIApp]) -> None:
        self._owner = owner
        self._app = owner.build_middleware_stack()
        self._relays = relays

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = Record(os.urandom(16).hex())
        has_begun = False

        def named_send(message: Message) -> Awaitable[None]:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                message = _named(message, record)
            return send(message)

        path = canonical(scope["path"])
        state = {
            **scope.get("state", {}),
            **{"asked_path": scope["path"], "record": record, "request_id": record.id},
        }
        scope = {**scope, "app": self._owner, "path": path, "state": state}
        try:
            await self._relays.get(path, self._app)(scope, receive, named_send)
        except Exception:
            log.exception("request %s crashed", record.id)
            if not has_begun:
                await crash(record.id).response()(scope, receive, named_send)
        finally:
            write(record, path)


def _named(message: Message, record: Record) -> Message:
    """The start of a response, with its request's name; the record gets its status."""
    if record.status is None:
        record.status = message["status"]
    name = (b"x-request-id", record.id.encode())
    return {**message, "headers": [*message.get("headers", ()), name]}
