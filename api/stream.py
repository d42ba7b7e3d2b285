"""A streamed answer: what goes out, in which order, as server-sent events."""

import json
from collections.abc import AsyncIterator

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.completion import merge_usage
from api.errors import ApiError, from_llamaq, sse_error
from api.exchange import ClientGone, Exchange, Piece
from api.sse import DONE, comment, reindex, without_comments
from dispatcher.errors import LlamaqError, WorkerFailed

_USAGE = b'"choices":[]'


class Shape:
    """Makes one stream of the pieces of one or more choices.

    A single choice passes as it is. Several get one id, their own indexes and one usage event.
    """

    def __init__(self, choices: int, completion_id: str) -> None:
        self._choices = choices
        self._id = completion_id
        self._begun = False
        self._usages: list[bytes] = []

    def take(self, piece: Piece) -> bytes:
        """The bytes to send for a piece.

        Raises `WorkerFailed` for an answer that begins anew after the client saw a part of it: it
        would see that part twice.
        """
        if piece.restart:
            if self._begun:
                raise WorkerFailed(
                    "The worker was lost in the middle of its answer. Please send the request "
                    "again."
                )
            return b""
        self._begun |= bool(piece.events)
        if self._choices == 1:
            return piece.events
        shown = []
        for event in map(without_comments, piece.events.split(b"\n\n")):
            if _USAGE in event:
                self._usages.append(event)
            elif event:
                shown.append(reindex(event, piece.choice, self._id))
        return b"".join(shown)

    def end(self) -> bytes:
        """The bytes that end the stream."""
        if not self._usages:
            return DONE
        chunks = [json.loads(event.removeprefix(b"data: ")) for event in self._usages]
        usage = merge_usage([chunk["usage"] for chunk in chunks])
        whole = {**chunks[0], "id": self._id, "usage": usage}
        text = json.dumps(whole, ensure_ascii=False, separators=(",", ":"))
        return b"data: " + text.encode() + b"\n\n" + DONE


class StreamedAnswer(Response):
    """Runs an exchange and sends its answer while it grows.

    What fails before the headers are out is an HTTP error; after that it is an event in the stream.
    They wait for the first piece of the answer, but no longer than `quiet_s`; from then on a
    comment tells at least every `quiet_s` seconds that the request lives.
    """

    def __init__(self, exchange: Exchange, quiet_s: float) -> None:
        super().__init__()
        self._exchange = exchange
        self._quiet_s = quiet_s
        self._shape = Shape(len(exchange.jobs), f"chatcmpl-{exchange.jobs[0].id}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves the response (ASGI)."""
        try:
            async with self._exchange.open(receive):
                pieces = await self._first()
                await send({"type": "http.response.start", "status": 200, "headers": self._head()})
                async for part in self._parts(pieces):
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        except ClientGone:
            self._exchange.record.status = 499

    async def _first(self) -> list[Piece]:
        while True:
            pieces = await self._exchange.more()
            shown = any(piece.events for piece in pieces) or self._exchange.done
            if shown or self._exchange.waited_s >= self._quiet_s:
                return pieces

    def _head(self) -> list[tuple[bytes, bytes]]:
        headers = {
            "content-type": "text/event-stream",
            "cache-control": "no-cache",
            "x-accel-buffering": "no",
            **self._exchange.headers(),
        }
        return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]

    async def _parts(self, pieces: list[Piece]) -> AsyncIterator[bytes]:
        try:
            async for part in self._answer(pieces):
                yield part
            yield self._shape.end()
        except (ApiError, LlamaqError) as error:
            record = self._exchange.record
            shown = error if isinstance(error, ApiError) else from_llamaq(error, record.id)
            record.status = shown.status
            yield sse_error(shown)

    async def _answer(self, pieces: list[Piece]) -> AsyncIterator[bytes]:
        exchange = self._exchange
        spoke_at = float("-inf")
        while True:
            part = b"".join(self._shape.take(piece) for piece in pieces)
            if not part and exchange.waited_s - spoke_at >= self._quiet_s:
                part = self._sign_of_life()
            if part:
                spoke_at = exchange.waited_s
                yield part
            if exchange.done:
                return
            pieces = await exchange.more()

    def _sign_of_life(self) -> bytes:
        exchange = self._exchange
        if exchange.started:
            return comment("the model is at work")
        if place := exchange.place:
            eta = "" if place.eta_s is None else f" eta={place.eta_s}s"
            return comment(f"queued position={place.position}{eta}")
        waiting = exchange.context.directory.queued(exchange.jobs[0].model)
        return comment(f"queued waiting={waiting}")
