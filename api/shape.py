"""What a client sees of the choices of a stream of OpenAI's chunks. Pure."""

import json
from typing import Any

from api.endpoint import Piece
from api.errors import ApiError, sse_error
from api.failure import restarted
from api.sse import DONE, data_of, event, json_event, split
from api.usage import merge_usage

Json = dict[str, Any]

_USAGE = b'"choices":[]'


class ChunkShape:
    """A stream of chunks (`api.endpoint.Shape`).

    A single choice passes as it is. Several get one id, their own indexes and one usage event.
    """

    def __init__(self, choices: int, completion_id: str) -> None:
        self._choices = choices
        self._id = completion_id
        self._begun = False
        self._usages: list[Json] = []

    def take(self, piece: Piece) -> bytes:
        """See `Shape`."""
        if piece.restart:
            return restarted(self._begun)
        self._begun |= bool(piece.events)
        if self._choices == 1:
            return piece.events
        shown = []
        for one in split(piece.events):
            data = data_of(one)
            if _USAGE in data:
                self._usages.append(json.loads(data))
            elif data.startswith(b"{"):
                shown.append(json_event(reindexed(json.loads(data), piece.choice, self._id)))
            else:
                shown.append(event(data))
        return b"".join(shown)

    def end(self) -> bytes:
        """See `Shape`."""
        if not self._usages:
            return DONE
        usage = merge_usage([chunk["usage"] for chunk in self._usages])
        return json_event({**self._usages[0], "id": self._id, "usage": usage}) + DONE

    def fail(self, error: ApiError) -> bytes:
        """See `Shape`."""
        return sse_error(error)


def reindexed(chunk: Json, index: int, completion_id: str) -> Json:
    """A chunk as a part of choice number `index` of the answer `completion_id`."""
    if "id" in chunk:
        chunk["id"] = completion_id
    for choice in chunk.get("choices", []):
        choice["index"] = index
    return chunk
