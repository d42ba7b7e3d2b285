"""Makes one stream of all the attempts at an answer of llama.cpp's own form. Pure."""

import json
from collections.abc import Sequence

from api.endpoint import CannotContinue
from api.native.seen import NativeMemory, NativeSeen
from api.output_limit import OUTPUT_LIMITS, tokens_left
from api.prompts import continued
from api.rest import from_the_start, rest_of
from api.seam import Seam
from api.seen import Json
from api.splice import ChunkSplice
from api.sse import json_event
from dispatcher.continuation import Continuation
from dispatcher.job import Job


class NativeSplice(ChunkSplice[NativeSeen]):
    """Passes on what the attempts at a job say, as one stream (`api.endpoint.Splice`)."""

    def __init__(self, job: Job) -> None:
        super().__init__(job, NativeMemory())
        self._asked_again = ""  # the text that the prompt of a later attempt ends with
        self._told = 0  # the tokens that earlier attempts have told

    def _left(self, seen: NativeSeen) -> Continuation | None:
        self._asked_again, self._told = seen.content, seen.told
        return continuation(self._job, seen)

    def _says_more(self, chunk: Json) -> bool:
        chunk["tokens_predicted"] += self.seen_tokens
        if chunk["stop"]:
            chunk["prompt"] = chunk["prompt"].removesuffix(self._asked_again)
            chunk["generation_settings"] |= _limits(self._job)
        elif chunk["tokens_predicted"] <= self._told:
            chunk["tokens"] = []  # its text was held back, and is made again
            chunk.pop("completion_probabilities", None)
        return True

    def _missing(self, seen: NativeSeen, seam: Seam) -> Sequence[Json]:
        if seen.finish_reason is not None:
            return ()
        counts = {"tokens_predicted": seen.tokens, "tokens_evaluated": 0, **seen.names}
        last = {"index": 0, "content": "", "tokens": [], "stop": True, "model": self._job.model}
        return [{**last, **counts, "stop_type": "limit", "stopping_word": ""}]

    def end(self) -> bytes:
        """See `Splice`. What only a server knows is missing in the last event."""
        seen = self._memory.seen
        return b"".join(map(json_event, self._missing(seen, self._seam_after(seen))))


class InfillSplice(NativeSplice):
    """The same for /infill, whose answers start over or fail."""

    def _left(self, seen: NativeSeen) -> Continuation | None:
        if seen.content and seen.finish_reason is None:
            raise CannotContinue("llama-server can't go on within a gap that it has begun to fill")
        return continuation(self._job, seen)


def continuation(job: Job, seen: NativeSeen) -> Continuation | None:
    """What is left of a job whose client has seen a part of its answer; None if no text is left.

    `job` is as it was at first. Raises `CannotContinue`.
    """
    body = json.loads(job.body)
    if seen.finish_reason is not None or tokens_left(body, seen.tokens) == 0:
        return None
    if not seen.content:
        return from_the_start(job)
    if seen.is_strange:
        raise CannotContinue("a part of it was not as llama-server answers")
    if body.get("grammar") or "json_schema" in body:
        raise CannotContinue("its grammar would start over")
    return rest_of(job, body | {"prompt": continued(body["prompt"], seen.content)}, seen.tokens)


def _limits(job: Job) -> Json:
    """How many tokens were asked for, as an answer's settings tell it; empty without a limit."""
    body = json.loads(job.body)
    limit = next((body[name] for name in OUTPUT_LIMITS if name in body), None)
    return {} if limit is None else {"max_tokens": limit, "n_predict": limit}
