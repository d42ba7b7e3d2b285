"""Where an answer in chunks broke off, and how what came after it is shown. Pure."""

import json
from collections.abc import Callable
from typing import Any

from api.seen import Json, Seen
from api.sse import data_of, event, json_event, split


class Seam:
    """Behind what was `seen` the answer goes on, as a part of the first attempt's stream.

    `prompt` is that attempt's first event of progress. `says_more` takes out of a chunk what was
    said already, and tells whether anything is left.
    """

    def __init__(self, seen: Seen, prompt: bytes, says_more: Callable[[Json], bool]) -> None:
        self.seen_tokens = seen.tokens
        self._names = dict(seen.names)
        self._prompt = _progress(prompt)
        self._says_more = says_more

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
        says_more = self._says_more(chunk)
        if not says_more and chunk["choices"] and "prompt_progress" not in chunk:
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
