"""The stream of a transcription, made of a chat's chunks. Pure."""

from collections.abc import Mapping
from typing import Any

from api.audio.answer import transcript
from api.chat.text_chunk import TEXT
from api.endpoint import Piece
from api.errors import ApiError, sse_error
from api.failure import restarted
from api.growing_text import Text
from api.json_text import compact, read
from api.sse import DONE, data_of, event, json_event, split

Json = dict[str, Any]

_DELTA = b'{"type":"transcript.text.delta","delta":"%b"}'


class TranscriptionShape:
    """OpenAI's events of a transcript (`api.endpoint.Shape`).

    What the model thinks before is no part of it.
    """

    def __init__(self) -> None:
        self._text = Text()
        self._begun = False
        self._usage: Json = {}

    def take(self, piece: Piece) -> bytes:
        """See `Shape`."""
        if piece.restart:
            return restarted(self._begun)
        return b"".join(map(self._shown, split(piece.events)))

    def end(self) -> bytes:
        """See `Shape`."""
        return json_event(transcript(str(self._text), self._usage)) + DONE

    def fail(self, error: ApiError) -> bytes:
        """See `Shape`."""
        return sse_error(error)

    def _shown(self, chunk: bytes) -> bytes:
        text = TEXT.match(chunk)
        if text is not None:
            return self._more(text[2]) if text[1] == b"content" else b""
        data = data_of(chunk)
        return self._add(read(data)) if data.startswith(b"{") else b""

    def _add(self, chunk: Mapping[str, Any]) -> bytes:
        self._usage = chunk.get("usage") or self._usage
        said = [choice["delta"].get("content") for choice in chunk.get("choices", ())]
        return b"".join([self._more(compact(text)[1:-1]) for text in said if text])

    def _more(self, text: bytes) -> bytes:
        """More of it, as a JSON string without its quotes."""
        self._begun = True
        self._text.unread.append(text)
        return event(_DELTA % text)
