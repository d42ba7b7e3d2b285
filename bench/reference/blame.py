"""Whose jobs crashed a server: lua/parts/blame.lua in Python. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from bench.reference.turns import Entry
from dispatcher.constants import (
    CRASHES_OF_USERS,
    HELD_BACK_MS,
    SAME_CRASH_MS,
    SPACED_MS,
    SUSPECTED_MS,
    WELL_DONE_MS,
)

Who = tuple[str, str]
"""A tenant, and an end user of it: `-` stands for all of them."""


@dataclass(frozen=True, slots=True)
class Presence:
    """Somebody had a job at a worker whose server crashed."""

    who: Who
    worker: str
    at_ms: int

    @property
    def crash(self) -> tuple[str, int]:
        """Which crash it was."""
        return self.worker, self.at_ms


def _who(entry: Entry) -> Who:
    return entry.tenant, entry.user


@dataclass(slots=True)
class Blame:
    """The jobs that were there when servers crashed, and how long suspicions last."""

    _rows: list[Presence] = field(default_factory=list)
    _until_ms: dict[Who, int] = field(default_factory=dict)
    _held_back_ms: dict[Who, int] = field(default_factory=dict)
    served: set[str] = field(default_factory=set)
    """Tenants."""

    def suspected_as(self, who: Who, now_ms: int) -> Who | None:
        """Under which name it is a suspect."""
        names = who, (who[0], "-")
        return next((name for name in names if self._until_ms.get(name, 0) > now_ms), None)

    def is_suspect(self, entry: Entry, now_ms: int) -> bool:
        """Whether a worker runs at most one of such jobs."""
        return entry.crashes > 0 or self.suspected_as(_who(entry), now_ms) is not None

    def went_well(self, entry: Entry, now_ms: int) -> None:
        """An answer ends the suspicion sooner, but for who was held back already."""
        name = self.suspected_as(_who(entry), now_ms)
        if name and name not in self._held_back_as(entry, now_ms):
            self._until_ms[name] -= WELL_DONE_MS

    def held_back_ms(self, entry: Entry, now_ms: int) -> int:
        """For how long no job of its tenant, or its end user, may begin."""
        untils = self._held_back_as(entry, now_ms).values()
        return max(0, *(until_ms - now_ms for until_ms in untils)) if untils else 0

    def space_out(self, entry: Entry, now_ms: int) -> None:
        """A job of one who was held back begins: the next one has to wait."""
        for name, until_ms in self._held_back_as(entry, now_ms).items():
            self._held_back_ms[name] = max(until_ms, now_ms + SPACED_MS)

    def _held_back_as(self, entry: Entry, now_ms: int) -> dict[Who, int]:
        """The names under which it was held back in the last ten minutes, and until when."""
        if not self.suspected_as(_who(entry), now_ms):
            return {}
        since_ms = now_ms + HELD_BACK_MS - SUSPECTED_MS
        untils = {
            name: self._held_back_ms.get(name, 0) for name in (_who(entry), (entry.tenant, "-"))
        }
        return {name: until_ms for name, until_ms in untils.items() if until_ms > since_ms}

    def crashed(self, worker: str, held: Iterable[Entry], now_ms: int) -> None:
        """A server has crashed while it held these jobs."""
        self._rows = [row for row in self._rows if row.at_ms > now_ms - SUSPECTED_MS]
        if any(row.worker == worker and row.at_ms > now_ms - SAME_CRASH_MS for row in self._rows):
            return
        there = {who: self.suspected_as(who, now_ms) for who in map(_who, held)}
        suspects = [who for who, name in there.items() if name]
        blamed = suspects or list(there)
        self._rows += [Presence(who, worker, now_ms) for who in blamed]
        if len(suspects) == 1 and (guilty := there[suspects[0]]):
            self._clear_others(guilty)
            self._hold_back(suspects[0], now_ms)
        for who in blamed:
            for name in self._names_of(who, there[who]):
                self._until_ms[name] = now_ms + SUSPECTED_MS

    def _names_of(self, who: Who, was: Who | None) -> set[Who]:
        names = {was} if was else set()
        names |= {who} if self._has_enough(who) else set()
        tenant = (who[0], "-")
        return names | ({tenant} if self._has_enough_users(who[0]) else set())

    def _hold_back(self, who: Who, now_ms: int) -> None:
        """The crash was its own, and it was a suspect already; the model serves others."""
        for name in {who, (who[0], "-")}:
            if self.served - {who[0]} and self._until_ms.get(name, 0) > now_ms:
                self._held_back_ms[name] = now_ms + HELD_BACK_MS

    def _clear_others(self, guilty: Who) -> None:
        tenant, user = guilty

        def is_guilty(row: Presence) -> bool:
            return row.who[0] == tenant and user in ("-", row.who[1])

        shared = {row.crash for row in self._rows if is_guilty(row)}
        self._rows = [row for row in self._rows if is_guilty(row) or row.crash not in shared]
        for name in [*self._until_ms]:
            is_whole = name[1] == "-" and self._has_enough_users(name[0])
            if name != guilty and not is_whole and not self._has_enough(name):
                del self._until_ms[name]

    def _has_enough(self, who: Who) -> bool:
        return _are_enough([row for row in self._rows if row.who == who], 2)

    def _has_enough_users(self, tenant: str) -> bool:
        """Of each end user the first two crashes count."""
        users = {row.who for row in self._rows if row.who[0] == tenant}
        firsts = [[row for row in self._rows if row.who == who][:2] for who in users]
        return _are_enough([row for rows in firsts for row in rows], CRASHES_OF_USERS)


def _are_enough(rows: Collection[Presence], least: int) -> bool:
    """Whether they are of two servers, and of enough crashes."""
    return len({row.worker for row in rows}) >= 2 and len({row.crash for row in rows}) >= least
