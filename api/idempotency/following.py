"""Sends an answer that grows to one of those who want it."""

from starlette.types import Receive, Send

from api.departure import ClientGone, Departure
from api.idempotency.recording import Follower, Headers, Recording

REPLAYED = (b"idempotency-replayed", b"true")


async def follow(
    recording: Recording, receive: Receive, send: Send, *, is_first: bool = False
) -> None:
    """Sends all of it (ASGI). A client that is not the first is told so.

    Raises `ClientGone` if the client leaves or reads too slowly, and the error of the answer.
    """
    follower = recording.join()
    departure = Departure(receive, follower.leave)
    try:
        headers = await _headers(recording, follower)
        told = [] if is_first or recording.is_replayed else [REPLAYED]
        message = {"type": "http.response.start", "status": 200, "headers": [*headers, *told]}
        await send(message)
        await _send_parts(recording, follower, send)
    finally:
        departure.close()
        recording.leave(follower)


async def _headers(recording: Recording, follower: Follower) -> Headers:
    while True:
        if follower.is_gone:
            raise ClientGone
        if recording.headers is not None:
            return recording.headers
        if recording.error is not None:
            raise recording.error
        await follower.news.wait()


async def _send_parts(recording: Recording, follower: Follower, send: Send) -> None:
    while True:
        if follower.is_gone:
            raise ClientGone
        if follower.parts:
            part = follower.take()
            is_last = recording.is_over and not follower.parts and recording.error is None
            await send({"type": "http.response.body", "body": part, "more_body": not is_last})
            recording.keep_pace()
            if is_last:
                return
        elif recording.error is not None:
            raise ClientGone from recording.error  # its beginning is out: the connection breaks
        elif recording.is_over:
            await send({"type": "http.response.body", "body": b""})
            return
        else:
            await follower.news.wait()
