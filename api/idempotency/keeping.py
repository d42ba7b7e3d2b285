"""Takes an answer from the one who makes it, and has it kept when it is whole."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from starlette.types import Message

from api.errors import ApiError
from api.idempotency.keyed import Keyed
from api.idempotency.recording import Recording
from api.idempotency.replay import EVENTS, to_keep
from api.sse import comment
from dispatcher.errors import RedisUnavailable
from dispatcher.kept_answers import KeptAnswers

MOST_KEPT_BYTES = 2**20
NOT_KEPT = "x-llamaq-not-kept"
_TOO_LARGE = "too-large"
_KEEP_S = 2.0

log = logging.getLogger("llamaq.kept")


class Keeping:
    """What the answer to one request is sent to (ASGI): to its recording, and to Redis.

    An answer is kept before its last part goes out, if it is whole and no failure. `hold` is told
    of the bytes of a part, and may raise `ApiError` where there is no memory. `forget` is called
    for an answer that is too large. `settle` comes last.
    """

    def __init__(
        self,
        kept: KeptAnswers,
        recording: Recording,
        request: Keyed,
        forget: Callable[[], None],
    ) -> None:
        self._kept = kept
        self._recording = recording
        self._request = request
        self._forget = forget
        self._is_stream = self._is_settled = False

    async def send(self, message: Message) -> None:
        """Takes the next part of the answer."""
        if message["type"] == "http.response.start":
            await self._begin(message)
        else:
            is_last = not message.get("more_body", False)
            await self._add(bytes(message.get("body", b"")), is_last)
            await self._recording.paced()

    async def _begin(self, message: Message) -> None:
        headers = list(message["headers"])
        told = dict(headers)
        self._is_stream = told.get(b"content-type") == EVENTS.encode()
        if int(told.get(b"content-length", b"0")) > MOST_KEPT_BYTES:
            headers.append((NOT_KEPT.encode(), _TOO_LARGE.encode()))
            await self._give_up()
        if self._recording.headers is None:  # else its clients have them from a wait before it
            self._recording.begin(headers)

    async def _add(self, part: bytes, is_last: bool) -> None:
        if self._recording.whole is not None and not self._has_room(part):
            await self._give_up()
            if self._is_stream:
                part = comment(f"{NOT_KEPT}: {_TOO_LARGE}") + part
        if is_last:
            await self._end(part)
        self._recording.add(part, is_last=is_last)

    def _has_room(self, part: bytes) -> bool:
        if self._recording.size_bytes + len(part) > MOST_KEPT_BYTES:
            return False
        try:
            self._request.hold(len(part))
        except ApiError:
            return False
        return True

    async def _give_up(self) -> None:
        self._recording.forget()
        self._forget()
        await self.settle()

    async def _end(self, part: bytes) -> None:
        recording, request = self._recording, self._request
        recording.status, recording.code = request.record.status, request.record.code
        if recording.whole is None or recording.status not in (None, 200):
            return
        parts = [*recording.whole, part]
        answer = to_keep(recording.headers or [], parts, request.record.id)
        try:
            async with asyncio.timeout(_KEEP_S):
                self._is_settled = await self._kept.keep(request.asker, answer)
        except (RedisUnavailable, TimeoutError):
            log.warning("Redis is away: the answer to request %s is not kept", request.record.id)

    async def settle(self) -> None:
        """The key is free again, if it has got no answer."""
        if not self._is_settled:
            self._is_settled = True
            with suppress(RedisUnavailable):  # its lease will end
                await self._kept.free(self._request.asker)
