"""Which new requests an API takes, when more come than it gets through. Pure: no clock, no I/O."""

from dataclasses import dataclass

LONG_WAIT_S = 2.0
"""A line in which a new request is expected to stand for longer than this is too long."""

STANDING_S = 2.0
"""A line that is too long for more than this time is no burst: a burst passes by itself."""

SHORT_WAIT_S = LONG_WAIT_S / 2
"""A line that was too long stands until it is as short as this."""

LONGEST_WAIT_S = 10.0
"""No request is let into a line that is longer than this."""

ALWAYS_OPEN = 8
"""With fewer open requests than this, none is refused."""

_FIRST_GUESS_S = 0.001
_GUESS_TURNS = 100
_REMEMBERED = 500  # turns
_FLOW_S = 30.0
_FIRST_FLOW_S = 5.0


@dataclass(slots=True)
class Pace:
    """How fast an API has got through its line lately.

    It remembers some hundreds of turns. So one late tick of the event loop says little.
    """

    spent_s: float = _FIRST_GUESS_S * _GUESS_TURNS
    turns: float = _GUESS_TURNS

    @property
    def turn_s(self) -> float:
        """The mean time from one turn to the next, while somebody waits."""
        return self.spent_s / self.turns

    def note(self, turns: int, took_s: float) -> None:
        """`turns` turns took `took_s`, while others waited."""
        self.spent_s += took_s
        self.turns += turns
        if self.turns > _REMEMBERED:
            self.spent_s /= 2
            self.turns /= 2


@dataclass(slots=True)
class Flow:
    """How fast something has gone out lately, since a time on the caller's clock."""

    since_s: float
    gone: float = 0.0

    def note(self, amount: float, now_s: float) -> None:
        """This amount has gone out. What went out long ago counts less and less."""
        self.gone += amount
        if now_s - self.since_s > _FLOW_S:
            self.since_s += (now_s - self.since_s) / 2
            self.gone /= 2

    def time_s(self, amount: float, now_s: float) -> float:
        """How long this amount takes to go out."""
        if not self.gone:
            return _FIRST_FLOW_S
        return amount * (now_s - self.since_s) / self.gone


class Holdings:
    """What is open, or held in memory, of all tenants."""

    def __init__(self) -> None:
        self.total = 0
        self._of: dict[str, int] = {}

    def add(self, tenant: str, amount: int = 1) -> None:
        """A tenant has this much more."""
        self.total += amount
        self._of[tenant] = self._of.get(tenant, 0) + amount

    def remove(self, tenant: str, amount: int = 1) -> None:
        """A tenant has this much less. One that has nothing is forgotten."""
        self.total -= amount
        left = self._of.pop(tenant, 0) - amount
        if left:
            self._of[tenant] = left

    def of(self, tenant: str) -> int:
        """How much a tenant has."""
        return self._of.get(tenant, 0)

    def has_its_share(self, tenant: str) -> bool:
        """Whether a tenant has as much as an equal share of what all have, or more."""
        own = self._of.get(tenant, 0)
        return own > 0 and own * len(self._of) >= self.total


def is_too_much(
    open_requests: Holdings, tenant: str, wait_s: float, standing_s: float, always_open: int
) -> bool:
    """Whether a tenant's new request is refused. It would stand in line for `wait_s`.

    The line has been too long for `standing_s`. The first to be refused are tenants that have their
    share already. When the line is twice too long, all are refused.
    """
    if open_requests.total < always_open or wait_s <= LONG_WAIT_S:
        return False
    if standing_s < STANDING_S:
        return wait_s > LONGEST_WAIT_S
    return wait_s > 2 * LONG_WAIT_S or open_requests.has_its_share(tenant)


def is_too_large(held: Holdings, tenant: str, more: int, most: int) -> bool:
    """Whether there is no room for `more` bytes of a tenant's body. All bodies may have `most`.

    Half of the room is for whoever comes first. Of the other half a tenant gets its share.
    """
    total = held.total + more
    return total > most or (total > most / 2 and held.has_its_share(tenant))
