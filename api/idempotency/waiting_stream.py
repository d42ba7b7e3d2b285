"""What the clients of a stream hear while another API makes it."""

from time import monotonic

from api.endpoint import Shape
from api.idempotency.following import REPLAYED
from api.idempotency.keyed import Keyed
from api.idempotency.recording import Recording
from api.sse import HEADERS, comment


class WaitingStream:
    """After `quiet_s` it begins, and gets a comment as often. It is then known how to end it."""

    def __init__(self, recording: Recording, request: Keyed, quiet_s: float) -> None:
        self.shape: Shape | None = None
        self._recording = recording
        self._request = request
        self._quiet_s = quiet_s
        self._next_at = monotonic() + quiet_s
        self._is_none = False

    async def keep_up(self) -> None:
        """Tells something if it is time."""
        if self._is_none or monotonic() < self._next_at:
            return
        if self.shape is None:
            self.shape = await self._request.shape()
            if self.shape is None:
                self._is_none = True
                return
            self._recording.begin([*HEADERS, REPLAYED])
            self._recording.is_replayed = True
        self._next_at = monotonic() + self._quiet_s
        self._recording.add(comment("the same request is at work elsewhere"))
