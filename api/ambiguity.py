"""How much a grammar leaves open while it is followed. Pure.

llama.cpp follows all ways at once to read what was said so far, each as a stack of what is still to
come. It asks the model's words about each of them, in the thread that makes all answers.
"""

from collections.abc import Iterator, Sequence

from api.components import components
from api.first_sets import MOST_ROUNDS, TANGLED, FirstSets
from api.gbnf import Alternative, BadGrammar, Item, Rules

MOST_WAYS = 1024
MOST_STARTS = 4096
_MOST_LOOP_WAYS = 8  # of one loop whose rounds can't be told apart
_MOST_PREFIX = 64

Symbol = int | str  # characters, or a rule


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
        """The ways to begin a rule: so often llama.cpp looks at others before it has begun.

        A rule that begins with itself never begins, unless nothing is to come behind it.
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
        ways = sum(self._rule_ways(name, mates) for name in part)
        if mates <= self._recursive:
            self._check_loop(part, mates, ways)
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
        """Only where one can't tell that an item is over, what follows comes on top of it."""
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

    def _check_loop(self, part: list[str], mates: set[str], ways: int) -> None:
        grows = any(self._grows(alt, mates) for name in part for alt in self._rules[name])
        follow = self._follow(part, mates)
        for name in part:
            alternatives = [alternative for alternative in self._rules[name] if alternative]
            looping = [alt for alt in alternatives if not mates.isdisjoint(_refs(alt))]
            unsure = any(self._is_unsure(alt, mates, follow[name]) for alt in looping)
            if not self._told_apart(looping) or (unsure and (grows or ways > _MOST_LOOP_WAYS)):
                raise BadGrammar(
                    f"its rule '{_shown(name)}' refers to itself, and the next character does "
                    "not tell which way to go: make its alternatives begin differently"
                )

    def _grows(self, items: Alternative, mates: set[str]) -> bool:
        inner = [item for item in items[:-1] if item.ref in mates]
        return bool(inner) or any(i.ref in mates - self._chains and i.times > 1 for i in items)

    def _is_unsure(self, items: Alternative, mates: set[str], follow: int) -> bool:
        leads = follow
        for item in reversed(items):
            facts = self._sets.of(item)
            if facts.unsure & leads:
                return True
            leads = self._leads(item, leads, mates)
        return False

    def _leads(self, item: Item, behind: int, mates: set[str]) -> int:
        """The characters by which one gets into the loop, from before `item`."""
        facts = self._sets.of(item)
        return (facts.first if item.ref in mates else 0) | (behind if facts.nullable else 0)

    def _follow(self, part: list[str], mates: set[str]) -> dict[str, int]:
        follow = dict.fromkeys(part, 0)
        for _ in range(MOST_ROUNDS):
            before = dict(follow)
            for name in part:
                for alternative in self._rules[name]:
                    leads = follow[name]
                    for item in reversed(alternative):
                        if item.ref in mates:
                            follow[item.ref] |= leads
                        leads = self._leads(item, leads, mates)
            if before == follow:
                return follow
        raise BadGrammar(TANGLED)

    # --- alternatives that begin differently ---

    def _told_apart(self, alternatives: Sequence[Alternative]) -> bool:
        seen = 0
        for alternative in alternatives:
            facts = self._sets.rests(alternative)[0]
            if seen & facts.first or facts.nullable:
                return _differ([self._prefix(alt) for alt in alternatives])
            seen |= facts.first
        return True

    def _prefix(self, items: Alternative) -> list[Symbol]:
        """What an alternative surely begins with."""
        found: list[Symbol] = []
        todo = list(reversed(items))
        while todo and len(found) < _MOST_PREFIX:
            item = todo.pop()
            alternatives = self._rules.get(item.ref, [])
            if not item.ref:
                found += [item.chars] * min(item.times, _MOST_PREFIX)
            elif len(alternatives) == 1 and item.times == 1:
                todo += reversed(alternatives[0])
            elif item.ref in self._recursive:
                break
            else:
                found.append(f"{item.ref} {item.times}")
        return found


def _differ(prefixes: Sequence[Sequence[Symbol]], at: int = 0) -> bool:
    """Whether each differs from each other one in a character, behind the same beginning."""
    if len(prefixes) < 2:
        return True
    groups: dict[Symbol, list[Sequence[Symbol]]] = {}
    for prefix in prefixes:
        if len(prefix) <= at:
            return False
        groups.setdefault(prefix[at], []).append(prefix)
    seen = 0
    for symbol in groups:
        if isinstance(symbol, str) and len(groups) > 1:
            return False
        if isinstance(symbol, int):
            if seen & symbol:
                return False
            seen |= symbol
    return all(_differ(group, at + 1) for group in groups.values())


def _refs(items: Alternative) -> list[str]:
    return [item.ref for item in items if item.ref]


def _shown(name: str) -> str:
    return "a group" if name.startswith("(") else name[:64]
