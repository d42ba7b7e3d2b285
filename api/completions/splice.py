"""The stream of one text completion over all the attempts at it, and how it goes on. Pure."""

import json
from collections.abc import Sequence

from api.completions.seen import Memory, Seen
from api.endpoint import CannotContinue
from api.output_limit import tokens_left
from api.prompts import continued
from api.rest import from_the_start, rest_of
from api.seam import Seam
from api.seen import Json
from api.splice import ChunkSplice
from dispatcher.continuation import Continuation
from dispatcher.job import Job


class Splice(ChunkSplice[Seen]):
    """Passes on what the attempts at a job say, as one stream."""

    def __init__(self, job: Job) -> None:
        super().__init__(job, Memory())

    def _left(self, seen: Seen) -> Continuation | None:
        return continuation(self._job, seen)

    def _says_more(self, chunk: Json) -> bool:
        return any(
            choice["text"] or choice["logprobs"] or choice["finish_reason"]
            for choice in chunk["choices"]
        )

    def _missing(self, seen: Seen, seam: Seam) -> Sequence[Json]:
        if seen.finish_reason is not None:
            return ()  # the usage came with it
        last = {"text": "", "index": 0, "logprobs": None, "finish_reason": "length"}
        return [{"choices": [last], "object": "text_completion", "usage": seam.usage(None)}]


def continuation(job: Job, seen: Seen) -> Continuation | None:
    """What is left of a job whose client has seen a part of its answer; None if no text is left.

    `job` is as it was at first. Where no text was seen, the answer starts over, on any worker.
    Raises `CannotContinue`.
    """
    body = json.loads(job.body)
    if seen.finish_reason is not None or tokens_left(body, seen.tokens) == 0:
        return None
    if not seen.text:
        return from_the_start(job)
    if seen.is_strange:
        raise CannotContinue("a part of it was not as llama-server answers")
    for name in ("grammar", "json_schema"):
        if body.get(name, "") != "":  # a schema of {} is a grammar too: any JSON
            raise CannotContinue(f"its `{name}` would start over")
    return rest_of(job, body | {"prompt": continued(body["prompt"], seen.text)}, seen.tokens)
