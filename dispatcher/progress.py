"""How far the attempts of a worker are, as its row in Redis tells once a second."""

from collections.abc import Mapping
from dataclasses import dataclass

from dispatcher.constants import HELD_LOOKED_AT
from dispatcher.cost import Usage
from dispatcher.job import split_attempt_id

FIELD = "progress"
"""Of a worker's row."""
_MOST_BYTES = 64 * 1024
_MOST_TOKENS = 10**9


@dataclass(frozen=True, slots=True)
class Progress:
    """The tokens of the prompt that were read so far, and those of the answer."""

    prompt: int = 0
    completion: int = 0


NONE = Progress()
"""Of what has not begun, or is not told of."""


def progress_text(held: Mapping[str, Usage]) -> str:
    """What the row says. `held` is what each attempt has used, by its id.

    >>> progress_text({"a:1": Usage(12, 3), "b:1": Usage()})
    'a=12+3'
    """
    begun = [
        (attempt_id, used) for attempt_id, used in held.items() if used.prompt or used.completion
    ]
    return " ".join(
        f"{split_attempt_id(attempt_id)[0]}={used.prompt}+{used.completion}"
        for attempt_id, used in begun[:HELD_LOOKED_AT]
    )


def read_progress(text: bytes) -> dict[str, Progress]:
    """By job. Invited machines write it too: what can't be read is left out.

    >>> read_progress(b"a=12+3 b=1 c=x+1")
    {'a': Progress(prompt=12, completion=3)}
    """
    found = {}
    for word in text[:_MOST_BYTES].decode(errors="replace").split():
        job, _, tokens = word.rpartition("=")
        prompt, _, completion = tokens.partition("+")
        if job and _is_count(prompt) and _is_count(completion):
            found[job] = Progress(int(prompt), int(completion))
    return found


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 12 and int(text) <= _MOST_TOKENS
