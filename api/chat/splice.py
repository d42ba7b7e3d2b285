"""The stream of one choice of a chat's answer over all the attempts at it. Pure."""

from collections.abc import Sequence

from api.chat.continuation import continuation
from api.chat.seen import Memory, Seen
from api.seam import Seam
from api.seen import Json
from api.splice import ChunkSplice
from dispatcher.continuation import Continuation
from dispatcher.job import Job, Want

_OBJECT = "chat.completion.chunk"


class Splice(ChunkSplice[Seen]):
    """Passes on what the attempts at a job say, as one stream in which the role is said once."""

    def __init__(self, job: Job) -> None:
        super().__init__(job, Memory())

    def _left(self, seen: Seen) -> Continuation | None:
        return continuation(self._job, seen)

    def _says_more(self, chunk: Json) -> bool:
        for choice in chunk["choices"]:
            choice["delta"].pop("role", None)
            if choice["delta"].get("content", "") is None:
                del choice["delta"]["content"]
        return any(choice["delta"] or choice["finish_reason"] for choice in chunk["choices"])

    def _missing(self, seen: Seen, seam: Seam) -> Sequence[Json]:
        chunks: list[Json] = []
        if seen.finish_reason is None:
            last = {"finish_reason": "length", "index": 0, "delta": {}}
            chunks.append({"choices": [last], "object": _OBJECT})
        if Want.USAGE in self._job.wants and not seen.has_usage:
            chunks.append({"object": _OBJECT, "usage": seam.usage(None)})
        return chunks
