"""What one answer has used so far, and how fast it came, by llama-server's own figures. Pure."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic_core import from_json

from dispatcher.cost import Usage


@dataclass(frozen=True, slots=True)
class Timings:
    """Tokens of the prompt that were evaluated (not cached), tokens generated, and in how long."""

    prompt: int
    prompt_ms: float
    predicted: int
    predicted_ms: float


class Meter:
    """Keeps the last figures of one answer.

    As bytes: they come with every token, and few of them are ever asked for. `timed` begins with
    the newest event that says how far the answer is. `counted` is the event that has the usage.
    `told` is the usage of an answer that has no such events.
    """

    def __init__(self) -> None:
        self.timed = self.counted = b""
        self.told: Usage | None = None

    @property
    def usage(self) -> Usage:
        """The tokens of the whole answer once it is complete, else those so far."""
        return self.told or _usage_told(self.counted, self.timed)

    @property
    def timings(self) -> Timings | None:
        """The last ones; None before any came."""
        return _timings(_parse(self.timed).get("timings"))


@lru_cache(maxsize=1)  # an end asks several times
def _usage_told(counted: bytes, timed: bytes) -> Usage:
    return _counted(_parse(counted)) or _so_far(_parse(timed)) or Usage()


@lru_cache(maxsize=1)
def _parse(event: bytes) -> dict[str, Any]:
    if not event:
        return {}
    try:
        parsed = from_json(event.partition(b"\n")[0][5:])  # without data:
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _counted(event: dict[str, Any]) -> Usage | None:
    try:
        usage = event["usage"]
        details = usage.get("prompt_tokens_details") or {}
        cached = details.get("cached_tokens", 0)
        return _usage(usage["prompt_tokens"], usage["completion_tokens"], cached)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None


def _so_far(event: dict[str, Any]) -> Usage | None:
    try:
        if "prompt_progress" in event:
            progress = event["prompt_progress"]
            return _usage(progress["processed"], 0, progress["cache"])
        timings = event["timings"]
        cached = timings.get("cache_n", 0)
        return _usage(timings["prompt_n"] + cached, timings["predicted_n"], cached)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None


def _usage(prompt: Any, completion: Any, cached: Any) -> Usage:
    whole = max(0, int(prompt))
    return Usage(whole, max(0, int(completion)), min(whole, max(0, int(cached))))


def _timings(said: Any) -> Timings | None:
    try:
        return Timings(
            prompt=int(said["prompt_n"]),
            prompt_ms=float(said["prompt_ms"]),
            predicted=int(said["predicted_n"]),
            predicted_ms=float(said["predicted_ms"]),
        )
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
