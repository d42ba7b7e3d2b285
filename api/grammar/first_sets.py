"""Which characters the rules of a grammar may begin with, and go on with. Pure."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

from api.grammar.beginnings import told_apart
from api.grammar.components import components
from api.grammar.gbnf import Alternative, BadGrammar, Item, Rules

MOST_ROUNDS = 8
_MOST_COMPARED = 4096  # items
_MOST_PREFIX = 64
TANGLED = "its rules refer to each other in too long circles"


class Facts(NamedTuple):
    """What is known of a rule, of a part of one, or of a character. All are sets of characters.

    `nullable`: it may be empty. `first`: what it begins with. `more`: what goes on with it where it
    might have ended. `chars`: all that is in it.
    """

    nullable: bool = False
    first: int = 0
    more: int = 0
    chars: int = 0

    @property
    def unsure(self) -> int:
        """Characters at which one can't tell whether it goes on or is over."""
        return self.more | (self.first if self.nullable else 0)

    def before(self, rest: "Facts") -> "Facts":
        """The facts of this, followed by `rest`."""
        return Facts(
            self.nullable and rest.nullable,
            self.first | (rest.first if self.nullable else 0),
            rest.more | (self.more | rest.first if rest.nullable else 0),
            self.chars | rest.chars,
        )


EMPTY = Facts(nullable=True)


@lru_cache(256)
def _one_of(chars: int) -> Facts:
    return Facts(False, chars, 0, chars)


class FirstSets:
    """The facts of each rule of a grammar, `parts` in the order of components, callees first."""

    def __init__(self, grammar: Rules) -> None:
        self._rules = grammar.rules
        graph = {
            name: list(dict.fromkeys(item.ref for alt in alts for item in alt if item.ref))
            for name, alts in self._rules.items()
        }
        for name in (ref for refs in graph.values() for ref in refs):
            if name not in graph:
                raise BadGrammar(f"it has no rule '{name:.64}'")
        self.parts = components(graph)
        self.facts = dict.fromkeys(self._rules, Facts())
        for part in self.parts:
            self._settle(part)

    def of(self, item: Item) -> Facts:
        """The facts of one item."""
        return self.facts[item.ref] if item.ref else _one_of(item.chars)

    def rests(self, items: Sequence[Item]) -> list[Facts]:
        """The facts of what begins at each of the items, and of the nothing at the end."""
        found = [EMPTY]
        for item in reversed(items):
            found.append(self.of(item).before(found[-1]))
        return found[::-1]

    def _settle(self, part: list[str]) -> None:
        for _ in range(MOST_ROUNDS):
            before = [self.facts[name] for name in part]
            for name in part:
                self.facts[name] = self._joined(self._rules[name])
            if before == [self.facts[name] for name in part]:
                return self._check_that_it_ends(part)
        raise BadGrammar(TANGLED)

    def _check_that_it_ends(self, part: list[str]) -> None:
        for name in part:
            if not self.facts[name].nullable and not self.facts[name].first:
                raise BadGrammar(f"its rule '{name:.64}' leads nowhere")

    def _joined(self, alternatives: Sequence[Alternative]) -> Facts:
        each = [self.rests(alternative)[0] for alternative in alternatives]
        nullable, first, more, chars, seen_twice = False, 0, 0, 0, 0
        for facts in each:
            seen_twice |= first & facts.first
            nullable |= facts.nullable
            first |= facts.first
            more |= facts.more
            chars |= facts.chars
        if seen_twice and not told_apart(alternatives, self._rules):
            more |= self._goes_on(alternatives, chars)
        return Facts(nullable, first, more, chars)

    def _goes_on(self, alternatives: Sequence[Alternative], chars: int) -> int:
        """What goes on with one alternative where another one has ended.

        All their `chars` where it would take long to compare them.
        """
        found = budget = 0
        for one, other in combinations(alternatives, 2):
            one, other = self._unlike(one, other)
            budget += len(one) + len(other) + 1
            if budget > _MOST_COMPARED:
                return chars
            left, right = self.rests(one)[0], self.rests(other)[0]
            if not one or not other:
                found |= left.first | right.first
            elif left.first & right.first:
                found |= left.chars | right.chars
        return found

    def _unlike(self, one: Alternative, other: Alternative) -> tuple[Alternative, Alternative]:
        """What is left of both after their common beginning."""
        left, right = list(reversed(one)), list(reversed(other))
        for _ in range(_MOST_PREFIX):
            if not left or not right:
                break
            if left[-1] == right[-1]:
                left.pop()
                right.pop()
            elif not any([self._opens(left), self._opens(right)]):
                break
        return tuple(reversed(left)), tuple(reversed(right))

    def _opens(self, todo: list[Item]) -> bool:
        """Puts what a rule stands for in its place, if that is one thing."""
        inner = self._rules.get(todo[-1].ref, ())
        if len(inner) != 1 or todo[-1].times > 1:
            return False
        todo[-1:] = reversed(inner[0])
        return True
