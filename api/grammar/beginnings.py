"""What the alternatives of a rule surely begin with, and whether that tells them apart. Pure."""

from collections.abc import Collection, Mapping, Sequence

from api.grammar.gbnf import Alternative

# Most are told apart at once.
_LENGTHS = (16, 64)

Symbol = int | str  # characters, or a rule


def told_apart(
    alternatives: Sequence[Alternative],
    rules: Mapping[str, Sequence[Alternative]],
    unknown: Collection[str] = (),
) -> bool:
    """Whether any two differ in a character after the same beginning.

    What follows an `unknown` rule tells nothing.
    """
    return any(
        _differ([_beginning(items, rules, unknown, length) for items in alternatives])
        for length in _LENGTHS
    )


def _beginning(
    items: Alternative,
    rules: Mapping[str, Sequence[Alternative]],
    unknown: Collection[str],
    length: int,
) -> list[Symbol]:
    found: list[Symbol] = []
    todo = list(reversed(items))
    for _ in range(4 * length):  # a rule may begin with itself
        if not todo or len(found) >= length:
            break
        item = todo.pop()
        inner = rules.get(item.ref, ())
        if not item.ref:
            found += [item.chars] * min(item.times, length)
        elif len(inner) == 1 and item.times == 1:
            todo += reversed(inner[0])
        elif item.ref in unknown:
            break
        else:
            found.append(f"{item.ref} {item.times}")
    return found


def _differ(beginnings: Sequence[Sequence[Symbol]], at: int = 0) -> bool:
    if len(beginnings) < 2:
        return True
    groups: dict[Symbol, list[Sequence[Symbol]]] = {}
    for beginning in beginnings:
        if len(beginning) <= at:
            return False
        groups.setdefault(beginning[at], []).append(beginning)
    seen = 0
    for symbol in groups:
        if isinstance(symbol, str) and len(groups) > 1:
            return False
        if isinstance(symbol, int):
            if seen & symbol:
                return False
            seen |= symbol
    return all(_differ(group, at + 1) for group in groups.values())
