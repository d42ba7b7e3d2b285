"""What a request costs its tenant: input 1, output 2 (arXiv 2401.00588 §4), cached input 0.1.

In thousandths of an input token, so that shares are whole numbers in Lua and Python alike.
"""

from dataclasses import dataclass

INPUT, CACHED, OUTPUT = 1000, 100, 2000

SIDE_BYTE = CACHED // 4
"""A byte of a request that needs no slot: a token has about four, and none of them is evaluated."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer; `cached` of the prompt's were not evaluated again."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0

    @property
    def cost(self) -> int:
        """What its tenant is charged."""
        return cost(self.prompt, self.completion, self.cached)


NOTHING = Usage()


@dataclass(frozen=True, slots=True)
class Shown:
    """What the client of a stream was shown of its answer: its first `tokens`.

    The request has `prompt` tokens, of which `cached` were not evaluated: its first worker told so.
    Both are None where it has not.
    """

    tokens: int
    prompt: int | None = None
    cached: int = 0

    @property
    def text(self) -> str:
        """As it stands in Redis.

        >>> Shown(12, 30, 5).text, Shown(12).text
        ('12 30 5', '12')
        """
        if self.prompt is None:
            return str(self.tokens)
        return f"{self.tokens} {self.prompt} {self.cached}"

    def whole(self, last: Usage) -> Usage:
        """The usage of the whole answer. `last` is that of its last part, which had the text before
        it as a part of its prompt. lua/parts/whole_usage.lua is the same.

        >>> Shown(12, 30, 5).whole(Usage(prompt=42, completion=3, cached=40))
        Usage(prompt=30, completion=15, cached=5)
        >>> Shown(12).whole(Usage(prompt=42, completion=3, cached=40))
        Usage(prompt=30, completion=15, cached=0)
        """
        made = self.tokens + last.completion
        if self.prompt is None:
            return Usage(max(0, last.prompt - self.tokens), made)
        return Usage(self.prompt, made, self.cached)


def cost(prompt: int, completion: int, cached: int = 0) -> int:
    """The cost of these tokens; `cached` of the prompt's were not evaluated again.

    >>> cost(prompt=10, completion=2, cached=5)
    9500
    """
    return (prompt - cached) * INPUT + cached * CACHED + completion * OUTPUT


def share(cost: int, weight: float) -> int:
    """What a cost adds to a counter of this weight; the Lua scripts round alike.

    >>> share(1000, 3), share(1500, 1000), share(0, 5)
    (333, 2, 0)
    """
    return int(cost / weight + 0.5)
