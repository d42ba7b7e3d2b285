"""Whose turn it is: lua/parts/waiting.lua and charge.lua in Python, name by name. Pure."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.reference.scores import Scores
from dispatcher.constants import JUST_BEHIND
from dispatcher.cost import share
from dispatcher.needs import read_needs
from dispatcher.tier import Tier


@dataclass(slots=True)
class Entry:
    """A job as the queue sees it. Costs as in dispatcher/cost.py, times in milliseconds."""

    id: str
    tenant: str
    user: str = "-"
    tier: str = Tier.DEFAULT.value
    weight: float = 1
    class_: str = "any"
    estimate: int = 1
    prompt_tokens: int = 1
    completion_tokens: int = 0
    max_tenant_running: int = 0
    prefixes: tuple[str, ...] = ()
    enqueued_ms: int = 0
    sequence: int = 0
    worker: str = ""
    prefers: str = ""
    cached_there: int = 0
    avoids: str = ""
    crashes: int = 0
    claimed_ms: int = 0
    left_since_ms: int | None = None

    @property
    def tenant_path(self) -> str:
        """The level at which its users wait."""
        return f"{self.tier}|{self.tenant}"

    @property
    def is_side(self) -> bool:
        """Whether it needs no slot."""
        return read_needs(self.class_).side

    @property
    def path(self) -> str:
        """The flow to which it belongs, together with its class."""
        return f"{self.tenant_path}|{self.user}"

    def left_ms(self, now_ms: int) -> int:
        """For how long it is left to others so far."""
        return 0 if self.left_since_ms is None else now_ms - self.left_since_ms

    def levels(self) -> Iterator[tuple[str, str, float]]:
        """The levels that are charged: parent, child and the child's weight."""
        yield "", self.tier, Tier(self.tier).weight
        yield self.tier, self.tenant, self.weight
        yield self.tenant_path, self.user, 1


@dataclass(slots=True)
class Level:
    """What the children of one parent were served and are charged; `idle` is the sum of both."""

    served: Scores = field(default_factory=Scores)
    idle: dict[str, float] = field(default_factory=dict)
    charged: dict[str, int] = field(default_factory=lambda: defaultdict(int))


class Turns:
    """Virtual token counters of tiers, tenants and users. `classes` is who waits, by class."""

    def __init__(self) -> None:
        self.classes: dict[str, int] = {}
        self.parked: set[str] = set()
        self._levels: dict[str, Level] = defaultdict(Level)
        self._turns: dict[tuple[str, str], Scores] = defaultdict(Scores)

    def of(self, class_: str, parent: str) -> Scores:
        """The waiting members of one level, by their served and charged cost."""
        return self._turns[class_, parent]

    def enter(self, entry: Entry) -> None:
        """A job has come into the queue."""
        may_run = entry.is_side or entry.tenant not in self.parked
        if self._begin(entry.class_, entry.tenant_path, entry.user) and may_run:
            self._tenant_waits(entry.class_, entry.tier, entry.tenant)

    def leave(self, entry: Entry) -> None:
        """The last job of a flow has left the queue."""
        self._stop(entry.class_, entry.tenant_path, entry.user)
        if not self.of(entry.class_, entry.tenant_path):
            self._tenant_rests(entry.class_, entry.tier, entry.tenant)

    def charge(self, entry: Entry, before: int, after: int) -> None:
        """A running job is expected to cost `after` where it was `before`."""
        for parent, child, weight in entry.levels():
            amount = share(after, weight) - share(before, weight)
            self._levels[parent].charged[child] += amount
            self._move(parent, child, amount)

    def settle(self, entry: Entry, cost: int) -> None:
        """A running job has ended and did cost `cost`."""
        for parent, child, weight in entry.levels():
            level = self._levels[parent]
            expected, real = share(entry.estimate, weight), share(cost, weight)
            level.charged[child] -= expected
            served = level.served.get(child)
            if served is not None:
                level.served.set(child, served + real)
            self._move(parent, child, real - expected)

    def park(self, tenant: str) -> None:
        """Takes a tenant at its bound of running jobs out of the turns, but for side requests."""
        self.parked.add(tenant)
        for class_ in (name for name in self.classes if not read_needs(name).side):
            for tier in Tier:
                self._tenant_rests(class_, tier, tenant)

    def unpark(self, tenant: str) -> None:
        """It may have another one."""
        if tenant not in self.parked:
            return
        self.parked.remove(tenant)
        for class_ in self.classes:
            for tier in Tier:
                if self.of(class_, f"{tier}|{tenant}"):
                    self._tenant_waits(class_, tier, tenant)

    def forget_idle(self) -> None:
        """What the reaper does once a second."""
        for tier in Tier:
            level = self._levels[tier]
            if level.served:
                least = level.served.least(0)
                level.idle = {name: was for name, was in level.idle.items() if was > least}

    def _begin(self, class_: str, parent: str, child: str) -> bool:
        turns, level = self.of(class_, parent), self._levels[parent]
        if turns.get(child) is not None:
            return False
        served = level.served.get(child)
        charged = level.charged[child]
        if served is None:
            own = level.idle.pop(child, charged) - charged
            behind = JUST_BEHIND if parent and level.served else 0
            served = max(own, level.served.least(own) + behind)
            level.served.set(child, served)
        turns.set(child, served + charged)
        return True

    def _stop(self, class_: str, parent: str, child: str) -> None:
        sum_ = self.of(class_, parent).get(child)
        if sum_ is None:
            return
        self.of(class_, parent).remove(child)
        if any(self.of(other, parent).get(child) is not None for other in self.classes):
            return
        level = self._levels[parent]
        level.served.remove(child)
        if level.served:
            level.idle[child] = sum_
        else:
            level.idle.clear()

    def _tenant_waits(self, class_: str, tier: str, tenant: str) -> None:
        if self._begin(class_, tier, tenant):
            self._begin(class_, "", tier)

    def _tenant_rests(self, class_: str, tier: str, tenant: str) -> None:
        self._stop(class_, tier, tenant)
        if not self.of(class_, tier):
            self._stop(class_, "", tier)

    def _move(self, parent: str, child: str, amount: int) -> None:
        known = [(class_, self.of(class_, parent).get(child)) for class_ in self.classes]
        waiting = [(class_, score) for class_, score in known if score is not None]
        for class_, score in waiting:
            self.of(class_, parent).set(child, score + amount)
        if not waiting:
            self._move_idle(parent, child, amount)

    def _move_idle(self, parent: str, child: str, amount: int) -> None:
        level = self._levels[parent]
        if child in level.idle:
            level.idle[child] += amount
        elif level.served and amount > 0:
            level.idle[child] = level.served.least(0) + amount
