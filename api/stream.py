"""Sends a streamed answer while it grows: what goes out, and when."""

from time import monotonic

from starlette.types import Send

from api.endpoint import Piece, Shape
from api.errors import ApiError, sse_error
from api.exchange import Exchange
from api.failure import fault_of
from api.sse import HEADERS, comment
from dispatcher.errors import LlamaqError


class StreamedAnswer:
    """Runs an exchange and sends its answer.

    A failure before the headers are out is raised. After that it is an event in the stream.
    The headers wait for the first piece of the answer, for `quiet_s` seconds at most, or until the
    model is being loaded. From then on a comment at least every `quiet_s` tells that the request
    lives. A comment tells at once that the model is being loaded.
    """

    def __init__(self, exchange: Exchange, shape: Shape, quiet_s: float) -> None:
        self._exchange = exchange
        self._shape = shape
        self._quiet_s = quiet_s
        self._has_told_of_loading = False

    async def send(self, send: Send) -> None:
        """All of it (ASGI). Raises `ClientGone`."""
        exchange = self._exchange
        pieces = await self._first()
        headers = [(name.encode(), value.encode()) for name, value in exchange.headers().items()]
        await send({"type": "http.response.start", "status": 200, "headers": [*HEADERS, *headers]})
        try:
            last = await self._body(pieces, send)
        except (ApiError, LlamaqError) as error:
            last = self._failed(exchange.record.fail(error))
        await send({"type": "http.response.body", "body": last})

    async def _first(self) -> list[Piece]:
        while True:
            pieces = await self._exchange.more()
            shown = any(piece.events for piece in pieces) or self._exchange.done
            is_quiet = self._exchange.waited_s >= self._quiet_s
            if shown or is_quiet or self._is_loading():
                return pieces

    async def _body(self, pieces: list[Piece], send: Send) -> bytes:
        """Sends all but the last part, which it returns."""
        exchange = self._exchange
        spoke_at = float("-inf")
        while True:
            part = self._shaped(pieces)
            if exchange.done:
                return part
            if not part and (monotonic() - spoke_at >= self._quiet_s or self._loading_is_news()):
                part = self._sign_of_life()
            if part:
                spoke_at = monotonic()
                await send({"type": "http.response.body", "body": part, "more_body": True})
            pieces = await exchange.more()

    def _shaped(self, pieces: list[Piece]) -> bytes:
        """What the client sees of them, and of the end. Raises what it is told."""
        take = self._shape.take
        try:
            part = take(pieces[0]) if len(pieces) == 1 else b"".join(map(take, pieces))
            return part + self._shape.end() if self._exchange.done else part
        except Exception as error:
            raise fault_of(error) from None

    def _failed(self, shown: ApiError) -> bytes:
        """The end that tells of the error. It is plain where the shape can't tell it."""
        try:
            return self._shape.fail(shown)
        except Exception as error:
            fault_of(error)
            return sse_error(shown)

    def _sign_of_life(self) -> bytes:
        exchange = self._exchange
        if exchange.started:
            return comment("the model is at work")
        if self._is_loading():
            self._has_told_of_loading = True
            return comment(f"loading model={exchange.jobs[0].model}")
        if place := exchange.place:
            eta = "" if place.eta_s is None else f" eta={place.eta_s}s"
            return comment(f"queued position={place.position}{eta}")
        waiting = exchange.context.directory.queued(exchange.jobs[0].model)
        return comment(f"queued waiting={waiting}")

    def _is_loading(self) -> bool:
        """Whether the request waits for its model to be loaded."""
        exchange = self._exchange
        is_loading = exchange.context.directory.is_loading
        return not exchange.started and is_loading(exchange.jobs[0].model)

    def _loading_is_news(self) -> bool:
        return not self._has_told_of_loading and self._is_loading()
