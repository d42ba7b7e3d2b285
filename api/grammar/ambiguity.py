"""How much a grammar leaves open while it is followed. Pure.

llama.cpp follows all ways at once to read what was said so far, each as a stack of what is still to
come. It asks the model's words about each of them, in the thread that makes all answers.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from api.grammar.beginnings import told_apart
from api.grammar.components import components
from api.grammar.first_sets import MOST_ROUNDS, TANGLED, FirstSets
from api.grammar.gbnf import Alternative, BadGrammar, Item, Rules

MOST_WAYS = 1024
MOST_STARTS = 4096
_MOST_LOOP_WAYS = 8  # of one loop whose rounds can't be told apart


class After(NamedTuple):
    """Characters that may follow a part of a loop, and those of them that lead right into it."""

    first: int = 0
    into_loop: int = 0

    def joined(self, other: "After") -> "After":
        """What may follow this or the other."""
        return After(self.first | other.first, self.into_loop | other.into_loop)


class Ambiguity:
    """Judges one grammar; raises `BadGrammar` where it takes more than we allow."""

    def __init__(self, grammar: Rules) -> None:
        self._rules = grammar.rules
        self._chains = grammar.chains
        self._sets = FirstSets(grammar)
        self._ways: dict[str, int] = {}
        self._recursive: set[str] = set()

    def check(self) -> int:
        """The ways in which the rule `root` can be read at once, at most."""
        self._check_starts()
        for part in self._sets.parts:
            self._check_part(part)
        return self._ways["root"]

    def _check_starts(self) -> None:
        """In how many ways each rule may begin: llama.cpp looks at all of them first.

        A rule that begins with itself never begins, unless nothing follows in it.
        """
        leftmost = {name: list(self._leftmost(alts)) for name, alts in self._rules.items()}
        graph = {
            name: [item.ref for item, _ in begins if item.ref] for name, begins in leftmost.items()
        }
        starts: dict[str, int] = {}
        for part in components(graph):
            begins = [begin for name in part for begin in leftmost[name]]
            if any(item.ref in part and not is_last for item, is_last in begins):
                raise BadGrammar(f"its rule '{_shown(part[0])}' begins with itself")
            each = [starts.get(item.ref, 0) if item.ref else 1 for item, _ in begins]
            starts |= dict.fromkeys(part, len(part) + sum(each))
            if starts[part[0]] > MOST_STARTS:
                raise BadGrammar(f"its rule '{_shown(part[0])}' can begin in too many ways")

    def _leftmost(self, alternatives: Sequence[Alternative]) -> Iterator[tuple[Item, bool]]:
        for alternative in alternatives:
            last = len(alternative) - 1
            for i, item in enumerate(alternative):
                for _ in range(self._skips(item)):
                    yield item, i == last
                if not self._sets.of(item).nullable:
                    break

    def _skips(self, item: Item) -> int:
        """How often an item may be left out, one by one."""
        one = self._rules[item.ref][0][0] if item.ref in self._chains else item
        return item.times if self._sets.of(one).nullable else 1

    def _check_part(self, part: list[str]) -> None:
        mates = set(part)
        refs = [ref for name in part for alt in self._rules[name] for ref in _refs(alt)]
        if not mates.isdisjoint(refs):
            self._recursive |= mates
        each = [self._rule_ways(name, mates) for name in part]
        ways = sum(each)
        if mates <= self._recursive and not self._loop_is_unsure(part, mates, ways):
            ways = max(each)
        if ways > MOST_WAYS:
            raise BadGrammar(f"its rule '{_shown(part[-1])}' can be read in too many ways at once")
        self._ways |= dict.fromkeys(part, ways)

    def _rule_ways(self, name: str, mates: set[str]) -> int:
        alternatives = [alternative for alternative in self._rules[name] if alternative]
        ways = [self._alternative_ways(alternative, mates) for alternative in alternatives]
        if self._told_apart(alternatives):
            return max(len(ways), *ways, 1)
        return sum(ways)

    def _alternative_ways(self, items: Alternative, mates: set[str]) -> int:
        """The ways of what follows add up only where one can't tell that an item is over."""
        rests = self._sets.rests(items)
        most = running = 0
        is_over = True
        for item, rest in zip(items, rests[1:], strict=True):
            running = self._item_ways(item, mates) + (0 if is_over else running)
            most = max(most, running)
            is_over &= not self._sets.of(item).unsure & rest.first
        return max(most, 1)

    def _item_ways(self, item: Item, mates: set[str]) -> int:
        ways = 1 if item.ref in mates else self._ways.get(item.ref, 1)
        return ways * item.times if item.times > 1 and self._overlaps_itself(item) else ways

    def _overlaps_itself(self, item: Item) -> bool:
        if item.ref in self._chains:
            item = self._rules[item.ref][0][0]
        facts = self._sets.of(item)
        return bool(facts.unsure & facts.first)

    # --- recursion: each round must be known by its first character, or the ways multiply ---

    def _loop_is_unsure(self, part: list[str], mates: set[str], ways: int) -> bool:
        """Whether some rounds can't be told apart; raises `BadGrammar` where that is too much."""
        found = False
        grows = any(self._grows(alt, mates) for name in part for alt in self._rules[name])
        follow = self._follow(part, mates)
        for name in part:
            looping = [alt for alt in self._rules[name] if not mates.isdisjoint(_refs(alt))]
            unsure = any(self._is_unsure(alt, mates, follow[name]) for alt in looping)
            found |= unsure
            if not self._told_apart(looping) or (unsure and (grows or ways > _MOST_LOOP_WAYS)):
                raise BadGrammar(
                    f"its rule '{_shown(name)}' refers to itself, and the next character does "
                    "not tell which way to go: make its alternatives begin differently"
                )
        return found

    def _grows(self, items: Alternative, mates: set[str]) -> bool:
        inner = [item for item in items[:-1] if item.ref in mates]
        return bool(inner) or any(i.ref in mates - self._chains and i.times > 1 for i in items)

    def _is_unsure(self, items: Alternative, mates: set[str], follow: After) -> bool:
        """Whether at some character one can't tell if a part of the loop is over.

        Other parts may be unsure, as long as what follows them leads not into the loop at once.
        """
        after = follow
        for item in reversed(items):
            facts = self._sets.of(item)
            if item.ref not in mates:
                clash = after.into_loop
            elif item.times > 1 and item.ref not in self._chains:
                clash = after.first | facts.first
            else:
                clash = after.first
            if facts.unsure & clash:
                return True
            after = self._after(item, after, mates)
        return False

    def _after(self, item: Item, after: After, mates: set[str]) -> After:
        facts = self._sets.of(item)
        rest = after if facts.nullable else After()
        inner = facts.first if item.ref in mates else 0
        return After(facts.first | rest.first, inner | rest.into_loop)

    def _follow(self, part: list[str], mates: set[str]) -> dict[str, After]:
        follow = dict.fromkeys(part, After())
        for _ in range(MOST_ROUNDS):
            before = dict(follow)
            for name in part:
                for alternative in self._rules[name]:
                    after = follow[name]
                    for item in reversed(alternative):
                        if item.ref in mates:
                            follow[item.ref] = follow[item.ref].joined(after)
                        after = self._after(item, after, mates)
            if before == follow:
                return follow
        raise BadGrammar(TANGLED)

    def _told_apart(self, alternatives: Sequence[Alternative]) -> bool:
        seen = 0
        for alternative in alternatives:
            facts = self._sets.rests(alternative)[0]
            if seen & facts.first or facts.nullable:
                return told_apart(alternatives, self._rules, self._recursive)
            seen |= facts.first
        return True


def _refs(items: Alternative) -> list[str]:
    return [item.ref for item in items if item.ref]


def _shown(name: str) -> str:
    return "a group" if name.startswith("(") else name[:64]
