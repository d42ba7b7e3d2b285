"""Sends a whole answer, once all of it is there."""

from starlette.types import Send

from api.endpoint import Assembly
from api.exchange import Exchange


async def send_whole(exchange: Exchange, assembly: Assembly, send: Send) -> None:
    """Runs an exchange and sends its answer (ASGI). Raises what fails, and `ClientGone`.

    A large answer is put together beside the event loop.
    """
    size = 0
    while not exchange.done:
        for piece in await exchange.more():
            if piece.restart:
                assembly.restart(piece.choice)
            else:
                assembly.add(piece.choice, piece.events)
                size += len(piece.events)
    body = await exchange.context.aside.run(size, assembly.body)
    headers = [(name.encode(), value.encode()) for name, value in exchange.headers().items()]
    headers += [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
