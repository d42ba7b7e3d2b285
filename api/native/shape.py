"""What a client sees of llama.cpp's own streams. Pure."""

from api.endpoint import Piece
from api.errors import ApiError, sse_error
from api.failure import restarted
from api.json_text import read
from api.native.request import LAST, NativeRequest
from api.native.response_fields import chosen_fields
from api.native.whole import as_asked
from api.sse import data_of, json_event, split

_INDEX = b'data: {"index":%d,'
_LAST = LAST.encode()


class NativeShape:
    """A stream of llama.cpp's own events (`api.endpoint.Shape`): several answers have an index."""

    def __init__(self, asked: NativeRequest) -> None:
        self._asked = asked
        self._begun = False

    def take(self, piece: Piece) -> bytes:
        """See `Shape`."""
        if piece.restart:
            return restarted(self._begun)
        self._begun |= bool(piece.events)
        events = piece.events
        if piece.choice:
            events = events.replace(_INDEX % 0, _INDEX % piece.choice)
        return self._with_its_end(events) if _LAST in events else events

    def end(self) -> bytes:
        """See `Shape`."""
        return b""

    def fail(self, error: ApiError) -> bytes:
        """See `Shape`."""
        return sse_error(error)

    def _with_its_end(self, events: bytes) -> bytes:
        *before, last = split(events)
        shown = as_asked(read(data_of(last)), self._asked)
        end = json_event(chosen_fields(shown, self._asked.response_fields))
        return b"".join([*(event + b"\n\n" for event in before), end])
