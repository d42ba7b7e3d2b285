"""What was done of a model in some time, as numbers. Pure."""

import re
from dataclasses import dataclass

from dispatcher.latencies import Latencies, read_latencies

_NUMBER = re.compile(r"([a-z_]+)=(\d{1,15})")


@dataclass(frozen=True, slots=True)
class Done:
    """Requests that ended, the `failed` ones among them, and their tokens.

    Of the `prompt` tokens `cached` were not evaluated. A worker was at work for `busy_ms`, in any
    number of slots.
    """

    requests: int = 0
    failed: int = 0
    prompt: int = 0
    cached: int = 0
    completion: int = 0
    busy_ms: int = 0

    def __add__(self, other: "Done") -> "Done":
        return Done(*(getattr(self, name) + getattr(other, name) for name in Done.__slots__))

    @property
    def text(self) -> str:
        """Those that are not 0, as Redis has them.

        >>> Done(requests=2, completion=30).text
        'requests=2 completion=30'
        """
        pairs = ((name, getattr(self, name)) for name in Done.__slots__)
        return " ".join([f"{name}={number}" for name, number in pairs if number])


def read_done(text: str) -> Done:
    """The reverse of `Done.text`. What can't be read counts as nothing."""
    found = {name: int(number) for name, number in _NUMBER.findall(text)}
    return Done(**{name: found.get(name, 0) for name in Done.__slots__})


_NOTHING, _NONE = Done(), Latencies()


@dataclass(frozen=True, slots=True)
class Figures:
    """What was done, how long clients waited for a first token, and how long jobs were queued."""

    done: Done = _NOTHING
    first_token: Latencies = _NONE
    queued: Latencies = _NONE

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(
            self.done + other.done,
            self.first_token + other.first_token,
            self.queued + other.queued,
        )

    @property
    def texts(self) -> dict[str, str]:
        """As Redis has them: a text for each word of `WORDS`, but for those that are empty."""
        texts = (self.done.text, self.first_token.text, self.queued.text)
        return {word: text for word, text in zip(WORDS, texts, strict=True) if text}


WORDS = "done", "first_token", "queued"


def read_figures(word: str, text: str) -> Figures:
    """The reverse of `Figures.texts`, for one of them; nothing for another word."""
    if word == "done":
        return Figures(read_done(text))
    if word == "first_token":
        return Figures(first_token=read_latencies(text))
    return Figures(queued=read_latencies(text)) if word == "queued" else Figures()
