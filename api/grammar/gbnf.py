"""A grammar as far as one must know it to judge what it costs.

Of a character only its place among the ASCII ones is kept; all others count as one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

NOT_ASCII = 1 << 128
ANY = (1 << 129) - 1


class BadGrammar(Exception):
    """Says why, as a sentence without its end."""


class Item(NamedTuple):
    """A character of the set `chars`, or the rule `ref`; `times` in a row."""

    chars: int = 0
    ref: str = ""
    times: int = 1


Alternative = tuple[Item, ...]


@dataclass(slots=True)
class Rules:
    """A grammar: name of a rule -> its alternatives. A group or a repetition is a rule too.

    `elements` are those that llama.cpp makes of it. `most_elements` and `most_depth` bound it.
    `chains` are the rules that stand for as many others as they are repeated: `x{0,9}`.
    """

    most_elements: int
    most_depth: int
    rules: dict[str, list[Alternative]] = field(default_factory=dict)
    chains: set[str] = field(default_factory=set)
    elements: int = 0

    def add(self, name: str, alternatives: Iterable[Alternative]) -> str:
        """Defines a rule; returns its name."""
        self.rules[name] = list(alternatives)
        self.count(2)
        return name

    def inner(self, alternatives: Iterable[Alternative]) -> str:
        """Defines a rule that has no name in the text."""
        return self.add(f"({len(self.rules)}", alternatives)

    def count(self, elements: int) -> None:
        """Adds to the elements."""
        self.elements += elements
        if self.elements > self.most_elements:
            raise BadGrammar(f"it has more than {self.most_elements} elements")
