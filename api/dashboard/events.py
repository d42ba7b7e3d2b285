"""The stream of snapshots that one open page reads (server-sent events)."""

from collections.abc import Awaitable, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.dashboard.live import Live
from api.departure import Departure
from api.errors import ApiError
from api.json_text import compact
from api.sse import named_event

NOT_KEPT = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""The headers of all data."""


class Events(Response):
    """Sends each snapshot for as long as the page is open and `check` raises no `ApiError`."""

    def __init__(self, live: Live, check: Callable[[], Awaitable[None]]) -> None:
        super().__init__(
            headers=NOT_KEPT | {"X-Accel-Buffering": "no"}, media_type="text/event-stream"
        )
        del self.headers["content-length"]
        self._live = live
        self._check = check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves the request (ASGI). Raises `ApiError` before it has begun."""
        page = self._live.open()
        departure = Departure(receive, page.end)
        head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        try:
            await send(head)
            await send({"type": "http.response.body", "body": b": hello\n\n", "more_body": True})
            async for event in page.events():
                await self._check()
                await send({"type": "http.response.body", "body": event, "more_body": True})
            last = b""
        except ApiError as error:
            last = named_event("end", compact(error.body()))
        finally:
            departure.close()
            self._live.leave(page)
        await send({"type": "http.response.body", "body": last})
