"""Where an answer in chunks broke off, and how what came after it is shown. Pure."""

import json
from collections.abc import Callable

from api.seen import Json, Seen
from api.sse import data_of, event, json_event, split
from dispatcher.cost import Shown, Usage


class Seam:
    """After what was `seen` the answer goes on, as a part of the first attempt's stream.

    `prompt` is that attempt's first event of progress. `says_more` takes out of a chunk what was
    said already, and tells whether anything is left.
    """

    def __init__(self, seen: Seen, prompt: bytes, says_more: Callable[[Json], bool]) -> None:
        self.shown = shown_of(seen.tokens, prompt)
        self._names = dict(seen.names)
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
        """Turns the usage of the last part into that of the whole answer.

        None: nothing came after the seam.
        """
        if usage is None:
            usage = {"completion_tokens": 0, "prompt_tokens": 0, "total_tokens": 0}
        whole = self.shown.whole(Usage(usage["prompt_tokens"], usage["completion_tokens"]))
        return {
            **usage,
            "completion_tokens": whole.completion,
            "prompt_tokens": whole.prompt,
            "total_tokens": whole.prompt + whole.completion,
            "prompt_tokens_details": {"cached_tokens": whole.cached},
        }

    def timings(self, timings: Json) -> Json:
        """The counts of the whole answer at the rates of its last part."""
        if not {"prompt_n", "cache_n", "predicted_n"} <= timings.keys():
            return timings
        last = Usage(timings["prompt_n"] + timings["cache_n"], timings["predicted_n"])
        whole = self.shown.whole(last)
        counts = {"cache_n": whole.cached, "prompt_n": whole.prompt - whole.cached}
        counts["predicted_n"] = whole.completion
        times = {
            f"{name}_ms": counts[f"{name}_n"] * timings.get(f"{name}_per_token_ms", 0)
            for name in ("prompt", "predicted")
        }
        return {**timings, **counts, **times}


def shown_of(tokens: int, progress: bytes) -> Shown:
    """What a client was shown when it had these tokens. `progress` is the first worker's first
    event of progress, if any.
    """
    try:
        told = json.loads(data_of(progress))["prompt_progress"]
        return Shown(tokens, max(0, int(told["total"])), max(0, int(told["cache"])))
    except (ValueError, KeyError, TypeError):
        return Shown(tokens)
