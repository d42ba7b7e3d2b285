"""Which tenants wait for a model, and whose turn is next, as `llamaq status` shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dispatcher.keys import Keys
from dispatcher.link import Link
from dispatcher.needs import ANY
from dispatcher.registry import ask_for_each
from dispatcher.row import printable
from dispatcher.tier import Tier

_CLASSES = 50  # those that are looked at: a queue seldom has more than two


@dataclass(frozen=True, slots=True)
class Turn:
    """A tenant that waits, and how many jobs it has in the queue, over all tiers.

    `needs` are the classes of those that only some workers can take, with blanks between.
    """

    tier: str
    tenant: str
    queued: int
    needs: str = ""


async def read_turns(link: Link, model: str, most: int = 10) -> list[Turn]:
    """The tenants that wait for a model, the next of each tier first. Raises `RedisUnavailable`."""
    keys = Keys(model)
    (found,) = await ask_for_each(link, [("ZRANGE", keys.named("classes"), 0, _CLASSES - 1)])
    classes = [row.decode(errors="replace") for row in found] if isinstance(found, list) else []
    places = [(tier, class_) for tier in Tier for class_ in classes]
    turns = [keys.named("turns", f"{class_}|{tier}") for tier, class_ in places]
    rows = await ask_for_each(link, [("ZRANGE", key, 0, most - 1, "WITHSCORES") for key in turns])
    waits = _merged(places, rows)
    in_turn = [(tier, *wait) for tier in Tier for wait in sorted(waits[tier].items(), key=_turn)]
    waiting = keys.named("waiting")
    counts = await ask_for_each(link, [("ZSCORE", waiting, name) for _, name, _ in in_turn[:most]])
    return [
        Turn(tier.value, _text(name), _count(count), printable(" ".join(wait.classes)))
        for (tier, name, wait), count in zip(in_turn, counts, strict=False)
    ]


@dataclass(slots=True)
class _Wait:
    """When it is a tenant's turn, and the classes besides `any` in which it waits."""

    score: float
    classes: list[str]


def _turn(wait: tuple[bytes, _Wait]) -> float:
    return wait[1].score


def _merged(
    places: Sequence[tuple[Tier, str]], rows: Sequence[Any]
) -> dict[Tier, dict[bytes, _Wait]]:
    """The tenants that wait in each tier, each once, with its place in the first of its classes."""
    waits: dict[Tier, dict[bytes, _Wait]] = {tier: {} for tier in Tier}
    for (tier, class_), row in zip(places, rows, strict=True):
        pairs = zip(row[::2], row[1::2], strict=True) if isinstance(row, list) else ()
        for name, score in pairs:
            wait = waits[tier].setdefault(name, _Wait(float(score), []))
            wait.score = min(wait.score, float(score))
            if class_ != ANY:
                wait.classes.append(class_)
    return waits


def _text(name: bytes) -> str:
    return printable(name.decode(errors="replace"))


def _count(value: Any) -> int:
    return int(value) if isinstance(value, bytes) and value.isdigit() else 0
