"""The stream of one choice over all the attempts at it: its client sees one answer. Pure."""

import json
from typing import Any

from api.chat.continuation import continuation
from api.chat.seen import Json, Memory, Seen
from api.sse import data_of, event, json_event, split
from dispatcher.continuation import Continuation
from dispatcher.job import Job, Want


class Splice:
    """Passes on what the attempts at a job say, as one stream.

    The first attempt's events pass as they are. Those of later ones get its names, no second role,
    and counts of the whole answer.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._memory = Memory()
        self._prompt = b""
        self._seam: Seam | None = None
        self._is_seen = job.is_streamed  # else nobody sees it before it is complete
        self.is_spliced = False
        self.seen_tokens = 0

    def note_prompt(self, event: bytes) -> None:
        """Takes an attempt's first event of progress."""
        self._prompt = self._prompt or event

    def show(self, events: bytes, tokens: int) -> bytes:
        """What the client gets to see of events that came after so many tokens of this attempt."""
        if self._seam is not None:
            events = self._seam.spliced(events)
        if self._is_seen:
            self._memory.add(events, self.seen_tokens + tokens)
        return events

    def lose(self) -> Continuation | None:
        """The attempt is lost: what is left to do; None if nothing but `end`.

        Raises `CannotContinue`.
        """
        seen = self._memory.seen
        self._seam = Seam(seen, self._prompt) if seen.names else None
        self.is_spliced = self._seam is not None
        self.seen_tokens = seen.tokens if self._seam else 0
        return continuation(self._job, seen)

    def end(self) -> bytes:
        """The events that are missing at the end of a stream whose text is all there."""
        seen = self._memory.seen
        seam = Seam(seen, self._prompt)
        chunk = {"choices": [], **seen.names, "object": "chat.completion.chunk"}
        chunks: list[Json] = []
        if seen.finish_reason is None:
            last = {"finish_reason": "length", "index": 0, "delta": {}}
            chunks.append({**chunk, "choices": [last]})
        if Want.USAGE in self._job.wants and not seen.has_usage:
            chunks.append({**chunk, "usage": seam.usage(None)})
        return b"".join(map(json_event, chunks))


class Seam:
    """Where an answer broke off, and how what came after it is shown."""

    def __init__(self, seen: Seen, prompt: bytes) -> None:
        self.seen_tokens = seen.tokens
        self._names = dict(seen.names)
        self._prompt = _progress(prompt)

    def spliced(self, events: bytes) -> bytes:
        """Events of a later attempt, as a part of the first one's stream."""
        return b"".join(map(self._shown, split(events)))

    def _shown(self, one: bytes) -> bytes:
        data = data_of(one)
        if not data.startswith(b"{"):
            return one + b"\n\n"
        try:
            return self._spliced(json.loads(data))
        except (ValueError, KeyError, TypeError, AttributeError):
            return event(data)  # nothing that a llama-server says; the client may know better

    def _spliced(self, chunk: Json) -> bytes:
        for choice in chunk["choices"]:
            choice["delta"].pop("role", None)
            if choice["delta"].get("content", "") is None:
                del choice["delta"]["content"]
        says_nothing = all(not c["delta"] and not c["finish_reason"] for c in chunk["choices"])
        if says_nothing and chunk["choices"] and "prompt_progress" not in chunk:
            return b""
        if "usage" in chunk:
            chunk["usage"] = self.usage(chunk["usage"])
        if "timings" in chunk:
            chunk["timings"] = self.timings(chunk["timings"])
        return json_event({**chunk, **self._names})

    def usage(self, usage: Json | None) -> Json:
        """The tokens of the whole answer, of a usage that knows those of its last part alone.

        Without one nothing came after the seam.
        """
        if usage is None:
            usage = {"completion_tokens": 0, "prompt_tokens": self.seen_tokens, "total_tokens": 0}
        prompt, cached = self._prompt_tokens(usage["prompt_tokens"])
        made = self.seen_tokens + usage["completion_tokens"]
        whole = {"completion_tokens": made, "prompt_tokens": prompt, "total_tokens": prompt + made}
        return {**usage, **whole, "prompt_tokens_details": {"cached_tokens": cached}}

    def timings(self, timings: Json) -> Json:
        """The counts of the whole answer at the rates of its last part."""
        if not {"prompt_n", "cache_n", "predicted_n"} <= timings.keys():
            return timings
        prompt, cached = self._prompt_tokens(timings["prompt_n"] + timings["cache_n"])
        counts = {"cache_n": cached, "prompt_n": prompt - cached}
        counts["predicted_n"] = self.seen_tokens + timings["predicted_n"]
        times = {
            f"{name}_ms": counts[f"{name}_n"] * timings.get(f"{name}_per_token_ms", 0)
            for name in ("prompt", "predicted")
        }
        return {**timings, **counts, **times}

    def _prompt_tokens(self, with_text: int) -> tuple[int, int]:
        """The request's tokens and how many of them were cached; `with_text` counts the text that
        was seen too, and is taken where the first worker hasn't told.
        """
        if self._prompt:
            return self._prompt["total"], self._prompt["cache"]
        return max(0, with_text - self.seen_tokens), 0


def _progress(one: bytes) -> dict[str, Any]:
    try:
        progress = json.loads(data_of(one))["prompt_progress"]
        return {"total": int(progress["total"]), "cache": int(progress["cache"])}
    except (ValueError, KeyError, TypeError):
        return {}
