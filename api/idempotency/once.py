"""Has requests with the same key run once, and gives all who ask the same answer."""

import asyncio
import logging

from starlette.types import Receive, Send

from api.departure import ClientGone
from api.errors import ApiError
from api.failure import stopped
from api.idempotency.following import REPLAYED, follow
from api.idempotency.keeping import Keeping
from api.idempotency.key import key_reused
from api.idempotency.keyed import Keyed
from api.idempotency.recording import Recording
from api.idempotency.replay import replayed_headers
from api.idempotency.waiting_stream import WaitingStream
from api.pulse import Pulse
from dispatcher.beat import until_beat_s
from dispatcher.errors import LlamaqError, RedisUnavailable
from dispatcher.kept_answers import Asker, Begun, KeptAnswer, KeptAnswers
from dispatcher.tasks import cancel

_RENEWED_EVERY_S = 1.0

log = logging.getLogger("llamaq.kept")


class Once:
    """The requests with keys of one API process.

    The first one runs. Those that come meanwhile follow its answer: at this process as it grows, at
    others when it is there. `pulse` beats once a second. Clients of a stream hear something every
    `quiet_s`. A client with more than `most_unread_bytes` to read is given up.
    """

    def __init__(
        self, kept: KeptAnswers, pulse: Pulse, quiet_s: float, most_unread_bytes: int
    ) -> None:
        self._kept = kept
        self._pulse = pulse
        self._quiet_s = quiet_s
        self._most_unread_bytes = most_unread_bytes
        self._recordings: dict[tuple[str, str], Recording] = {}
        self._running: set[Asker] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Keeps what runs here from being run elsewhere, for ever."""
        while True:
            await asyncio.sleep(until_beat_s(_RENEWED_EVERY_S))
            if self._running:
                try:
                    await self._kept.renew(self._running)
                except RedisUnavailable as error:
                    log.warning("%s", error.message)

    async def serve(self, request: Keyed, receive: Receive, send: Send) -> None:
        """Sends the answer (ASGI), whoever makes it.

        Raises `ApiError`, `LlamaqError` and `ClientGone`.
        """
        recording = self._recordings.get(_id(request.asker))
        if recording is None:
            await self._serve_first(request, receive, send)
            return
        await follow(recording, receive, send)
        record = request.record
        record.status, record.code = recording.status or record.status, recording.code

    async def _serve_first(self, request: Keyed, receive: Receive, send: Send) -> None:
        """Serves the first request with its key here. Its client only follows the answer: the
        others get it even if that client leaves.
        """
        recording = self._recordings[_id(request.asker)] = Recording(self._most_unread_bytes)
        own = asyncio.create_task(follow(recording, receive, send, is_first=True))
        try:
            await asyncio.sleep(0)  # it has joined
            await self._make(recording, request)
        except asyncio.CancelledError:
            recording.fail(stopped())
            await cancel([own])
            raise
        except Exception as error:  # its followers raise it
            recording.fail(error)
        finally:
            self._forget(recording, request)
        await own

    def _forget(self, recording: Recording, request: Keyed) -> None:
        if self._recordings.get(_id(request.asker)) is recording:
            del self._recordings[_id(request.asker)]

    async def _make(self, recording: Recording, request: Keyed) -> None:
        """Records the answer: the kept one, or that of the request."""
        waiting = WaitingStream(recording, request, self._quiet_s)
        try:
            kept = await self._kept_answer(recording, request, waiting)
            if kept is None:
                await self._run(recording, request)
                return
        except (ApiError, LlamaqError) as error:
            if waiting.shape is None:
                raise
            shown = request.record.fail(error)
            recording.status, recording.code = shown.status, shown.code
            recording.add(waiting.shape.fail(shown), is_last=True)
            return
        if recording.headers is None:
            recording.is_replayed = True
            recording.begin([*replayed_headers(kept), REPLAYED])
        recording.add(kept.body, is_last=True)

    async def _kept_answer(
        self, recording: Recording, request: Keyed, waiting: WaitingStream
    ) -> KeptAnswer | None:
        """The kept answer, as soon as it is there. None: the request is to run."""
        while True:
            found = await self._kept.begin(request.asker)
            if isinstance(found, KeptAnswer):
                return found
            if found is Begun.OTHER:
                raise key_reused()
            if found is Begun.RUN:
                return None
            await self._beat()
            if self._pulse.ending:
                raise stopped()
            if not recording.followers:
                raise ClientGone
            await waiting.keep_up()

    async def _run(self, recording: Recording, request: Keyed) -> None:
        keeping = Keeping(self._kept, recording, request, lambda: self._forget(recording, request))
        self._running.add(request.asker)
        recording.unwanted = lambda: self._begin_to_let_go(recording, request)
        if not recording.followers:
            recording.unwanted()
        try:
            await request.run(recording.receive, keeping.send)
        finally:
            recording.unwanted = None
            self._running.discard(request.asker)
            await keeping.settle()

    def _begin_to_let_go(self, recording: Recording, request: Keyed) -> None:
        task = asyncio.create_task(self._let_go(recording, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _let_go(self, recording: Recording, request: Keyed) -> None:
        """Ends what nobody waits for, here or at another API."""
        while not recording.followers and not recording.is_over:
            try:
                is_free = await self._kept.free(request.asker, if_unwaited=True)
            except RedisUnavailable:
                is_free = True
            if is_free and not recording.followers:
                self._forget(recording, request)
                recording.abandon()
                return
            await self._beat()

    async def _beat(self) -> None:
        """Returns at the next beat."""
        beat: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def tell() -> None:
            if not beat.done():
                beat.set_result(None)

        self._pulse.listeners.add(tell)
        try:
            await beat
        finally:
            self._pulse.listeners.discard(tell)


def _id(asker: Asker) -> tuple[str, str]:
    """What equal requests have in common. Redis tells which request may have the key."""
    return asker.name, asker.fingerprint
