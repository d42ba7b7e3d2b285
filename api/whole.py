"""Sends a whole answer, once all of it is there."""

import asyncio
import json
from time import monotonic

from starlette.types import Send

from api.answer_room import HeldAnswer
from api.departure import ClientGone
from api.endpoint import Assembly, Piece
from api.errors import ApiError, ErrorForm
from api.exchange import Exchange
from api.failure import fault_of
from dispatcher.errors import LlamaqError

_BLANK = b" "  # JSON may begin with any number of them
_SLICE_BYTES = 2**20
_SLICE_S = 60.0


async def send_whole(
    exchange: Exchange,
    assembly: Assembly,
    errors: ErrorForm,
    blanks_after_s: float,
    send: Send,
    held: HeldAnswer | None = None,
) -> None:
    """Runs an exchange and sends its answer (ASGI). Raises what fails, and `ClientGone`.

    A thread puts a large answer together. It is `held` until its client has read nearly all of it.
    An answer that takes longer than `blanks_after_s` begins with blanks, unless that is 0. A
    failure is its body then, in the form of `errors`.
    """
    blanks = _Blanks(exchange, blanks_after_s, send) if blanks_after_s else None
    try:
        body = await _body(exchange, assembly, blanks, held)
    except (ApiError, LlamaqError) as error:
        if blanks is None or not blanks.begun:
            raise
        shown = exchange.record.fail(error)
        body = json.dumps(errors(shown, exchange.record.id)).encode()
    if blanks is None or not blanks.begun:
        lost = assembly.lost_tokens
        told = [(b"x-llamaq-lost-tokens", b"%d" % lost)] if lost else []
        await _begin(exchange, send, (b"content-length", b"%d" % len(body)), *told)
    if len(body) > _SLICE_BYTES:
        await _send_slices(body, send)
    else:
        await send({"type": "http.response.body", "body": body})


async def _body(
    exchange: Exchange, assembly: Assembly, blanks: "_Blanks | None", held: HeldAnswer | None
) -> bytes:
    size = 0
    while not exchange.done:
        for piece in await exchange.more():
            if held is not None:
                _note(piece, held)
            _add(piece, assembly)
            size += len(piece.events)
        if blanks is not None:
            await blanks.keep_up()
    try:
        body: bytes = await exchange.context.aside.run(size, assembly.body)
    except Exception as error:
        raise fault_of(error) from None
    if held is not None:
        held.learn(len(body))
    return body


def _add(piece: Piece, assembly: Assembly) -> None:
    """Raises what its client is told."""
    if piece.restart:
        assembly.restart(piece.choice)
        return
    try:
        assembly.add(piece.choice, piece.events)
    except Exception as error:
        raise fault_of(error) from None


def _note(piece: Piece, held: HeldAnswer) -> None:
    if piece.restart:
        held.restart(piece.choice)
    else:
        held.grow(piece.choice, len(piece.events))


async def _send_slices(body: bytes, send: Send) -> None:
    """Sends the last part of the answer. A slice waits until its client has read those before.

    A client that reads none in a minute is given up: others wait for the memory.
    """
    whole = memoryview(body)
    try:
        for start in range(0, len(body), _SLICE_BYTES):
            end = start + _SLICE_BYTES
            part = {"type": "http.response.body", "body": whole[start:end]}
            async with asyncio.timeout(_SLICE_S):
                await send({**part, "more_body": end < len(body)})
    except TimeoutError as error:
        raise ClientGone from error


async def _begin(exchange: Exchange, send: Send, *more: tuple[bytes, bytes]) -> None:
    headers = [(name.encode(), value.encode()) for name, value in exchange.headers().items()]
    headers += [*more, (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


class _Blanks:
    """What goes out before the answer is there: at least one blank in `pause_s` seconds."""

    def __init__(self, exchange: Exchange, pause_s: float, send: Send) -> None:
        self._exchange = exchange
        self._pause_s = pause_s
        self._send = send
        self._next_at = monotonic() - exchange.waited_s + pause_s
        self.begun = False

    async def keep_up(self) -> None:
        """Sends one if it is time."""
        if monotonic() < self._next_at:
            return
        if not self.begun:
            self.begun = True
            await _begin(self._exchange, self._send)
        self._next_at = monotonic() + self._pause_s
        await self._send({"type": "http.response.body", "body": _BLANK, "more_body": True})
