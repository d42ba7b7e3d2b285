"""Which jobs a worker gets: lua/parts/choice.lua and leaving.lua in Python. Pure."""

from collections.abc import Iterator
from math import ceil, inf

from bench.reference.state import State
from bench.reference.turns import Entry
from bench.reference.worker import Claimed, Worker
from dispatcher.constants import (
    BACKLOG,
    FAVOURITES,
    FEW_OF_LEVEL,
    FLEETS_OVERTAKEN,
    JOBS_LOOKED_AT,
    JOBS_OF_USER,
    LEAST_WORTH_MS,
    MANY_OF_LEVEL,
    MOST_WORTH_MS,
    NEWCOMER_MS,
    QUANTUM,
    SECOND_TRY_MS,
)
from dispatcher.needs import read_needs
from dispatcher.patience import EAGER, Patience
from dispatcher.tier import Tier


class Choice:
    """One claim, as long as it lasts."""

    def __init__(self, state: State, worker: str, now_ms: int, patience: Patience) -> None:
        self._state = state
        self._name = worker
        self._worker = state.workers[worker]
        self._now_ms = now_ms
        self._patience = patience
        self._mine = self._classes(side=False)
        self._looked = 0
        self._got = Claimed()

    def take(self, wanted: int) -> Claimed:
        """Takes up to `wanted` jobs for slots."""
        for entry in self._all(wanted):
            self._begin(entry)
        return self._take_in_turn(wanted)

    def take_sides(self, wanted: int) -> Claimed:
        """Takes up to `wanted` jobs that need no slot: no worker is slow at them."""
        self._mine, self._looked, self._patience = self._classes(side=True), 0, EAGER
        return self._take_in_turn(len(self._got.jobs) + wanted)

    def _classes(self, *, side: bool) -> list[str]:
        mine = (c for c in self._state.turns.classes if self._worker.can_take(c))
        return [class_ for class_ in mine if read_needs(class_).side is side]

    def _take_in_turn(self, wanted: int) -> Claimed:
        while len(self._got.jobs) < wanted:
            found = self._favourite() or self._fair(FEW_OF_LEVEL)
            found = found or self._favourite(anyhow=True) or self._fair(MANY_OF_LEVEL)
            if found is None:
                break
            self._begin(found)
        return self._got

    def _begin(self, entry: Entry) -> None:
        self._state.begin(entry, self._name, self._now_ms)
        self._got.jobs.append(entry)

    def _all(self, wanted: int) -> list[Entry]:
        """All jobs that wait, oldest first; none where some must be looked at in their turn."""
        turns, waiting = self._state.turns, self._state.waiting
        fit = len(waiting) <= wanted and len(self._mine) == len(turns.classes)
        if not fit or self._patience.is_slow or turns.parked or len(self._worker.prefers):
            return []
        for_others = any(each.prefers or each.avoids or self._is_suspect(each) for each in waiting)
        return [] if for_others or any(each.max_tenant_running for each in waiting) else waiting

    def _waiting_at(self, parent: str, most: int = FEW_OF_LEVEL) -> list[tuple[float, str]]:
        found: set[tuple[float, str]] = set()
        for class_ in self._mine:
            found.update(self._state.turns.of(class_, parent).first(most))
        if not parent:  # of tiers that are even the more urgent one is first
            return sorted(found, key=lambda row: (row[0], -Tier(row[1]).weight))
        return sorted(found)

    def _favourite(self, *, anyhow: bool = False) -> Entry | None:
        for entry in self._favourites_in_turn():
            if self._is_suspect(entry) or not self._may_run(entry):
                continue
            if anyhow or self._is_near(entry):
                return entry
        return None

    def _favourites_in_turn(self) -> list[Entry]:
        first = self._worker.prefers.first(FAVOURITES)
        return sorted((self._state.jobs[id_] for _, id_ in first), key=self._rank)

    def _rank(self, entry: Entry) -> int:
        first = [tenant for _, tenant in self._waiting_at(entry.tier)][:FEW_OF_LEVEL]
        return first.index(entry.tenant) if entry.tenant in first else FEW_OF_LEVEL

    def _is_near(self, entry: Entry) -> bool:
        """Whether nobody is passed over for long if this job goes first."""
        turns, tiers = self._state.turns, self._waiting_at("")
        if not tiers or tiers[0][1] != entry.tier:
            return False
        own = turns.of(entry.class_, entry.tier).get(entry.tenant)
        user_own = turns.of(entry.class_, entry.tenant_path).get(entry.user)
        if own is None or user_own is None:
            return False
        span = FLEETS_OVERTAKEN * self._worker.slots * len(self._state.workers)
        head = self._state.oldest_of(self._mine, entry.path, 1)[0]
        return (
            own - self._waiting_at(entry.tier)[0][0] <= QUANTUM
            and user_own - self._waiting_at(entry.tenant_path)[0][0] <= QUANTUM
            and entry.sequence - head.sequence <= span
        )

    def _fair(self, most: int) -> Entry | None:
        for path in self._in_turn(most):
            entry = self._of_user(path)
            if entry or self._looked >= JOBS_LOOKED_AT:
                return entry
        return None

    def _in_turn(self, most: int) -> Iterator[str]:
        for _, tier in self._waiting_at(""):
            for _, tenant in self._waiting_at(tier, most):
                for _, user in self._waiting_at(f"{tier}|{tenant}", most):
                    yield f"{tier}|{tenant}|{user}"

    def _of_user(self, path: str) -> Entry | None:
        best, least = None, float("inf")
        for entry in self._state.oldest_of(self._mine, path, JOBS_OF_USER):
            if self._looked >= JOBS_LOOKED_AT:
                break
            self._looked += 1
            loss_ms = self._patience.loss_ms(entry.prompt_tokens, entry.completion_tokens)
            if loss_ms <= least and not self._is_left(entry, loss_ms):
                best, least = entry, loss_ms
                if not self._patience.is_slow:
                    break
        return best

    def _is_left(self, entry: Entry, loss_ms: float) -> bool:
        if self._is_left_for_safety(entry):
            return True
        if entry.prefers == self._name:
            return False
        if self._is_left_for_cache(entry) or self._is_left_for_balance(entry):
            return True
        return loss_ms > 0 and self._is_left_for_speed(entry, loss_ms)

    def _is_left_for_safety(self, entry: Entry) -> bool:
        """Whom it calls then hangs on their leases, which are not known here."""
        left_ms = entry.left_ms(self._now_ms)
        if held_back_ms := self._state.blame.held_back_ms(entry, self._now_ms):
            entry.left_since_ms = self._now_ms - left_ms
            self._leave_to("", held_back_ms)
        if held_back_ms or (self._is_suspect(entry) and self._worker.suspect):
            return True
        if entry.avoids != self._name or left_ms >= SECOND_TRY_MS:
            return False
        others = (
            w for name, w in self._state.workers.items() if name != self._name and w.accepting
        )
        found = any(worker.can_take(entry.class_) for worker in others)
        if found:
            entry.left_since_ms = self._now_ms - left_ms
            self._leave_to("", SECOND_TRY_MS - left_ms)
        return found

    def _is_left_for_cache(self, entry: Entry) -> bool:
        other = self._state.workers.get(entry.prefers)
        left_ms = entry.left_ms(self._now_ms)
        reprefill_ms = self._worker.reprefill_ms(entry.cached_there)
        if not other or not other.accepting or not other.slots:
            return False
        has_room = len(other.running) < other.slots
        if not self._is_worth_leaving(other, entry, reprefill_ms):
            return False
        worth_ms = max(LEAST_WORTH_MS, reprefill_ms) if entry.cached_there else NEWCOMER_MS
        most_ms = worth_ms if has_room or not entry.cached_there else MOST_WORTH_MS
        if left_ms >= most_ms:
            return False
        entry.left_since_ms = self._now_ms - left_ms
        again_ms = ceil(min(most_ms - left_ms, worth_ms))
        self._leave_to(entry.prefers if has_room else "", again_ms)
        return True

    def _is_worth_leaving(self, other: Worker, entry: Entry, reprefill_ms: float) -> bool:
        if not entry.cached_there:  # a new conversation, given to that one
            return self._urgency >= Tier(entry.tier).weight
        if len(other.running) < other.slots:
            return True
        if not reprefill_ms or self._urgency:
            return reprefill_ms > 0
        turn_ms = (self._state.mean_service_ms or 0) / other.slots
        sooner = (other.prefers.rank(entry.id) + 1) * turn_ms < reprefill_ms
        return self._state.queued_for_slots <= BACKLOG and sooner

    def _is_left_for_balance(self, entry: Entry) -> bool:
        left_ms = entry.left_ms(self._now_ms)
        is_old = entry.prefers or left_ms >= NEWCOMER_MS
        if is_old or self._urgency < Tier(entry.tier).weight:
            return False
        known = ((name, w) for name, w in self._state.workers.items() if name != self._name)
        able = [(name, w) for name, w in known if w.accepting and w.can_take(entry.class_)]
        crowds = ((w.crowd(1) * self._worker.times_as_long_at(w), name) for name, w in able)
        least, name = min(crowds, default=(inf, ""))
        if least >= self._worker.crowd(2) or any(w.free for _, w in able):
            return False
        entry.prefers, entry.left_since_ms = name, self._now_ms - left_ms
        self._state.workers[name].prefers.set(entry.id, entry.sequence)
        self._leave_to("", NEWCOMER_MS - left_ms)
        return True

    @property
    def _urgency(self) -> int:
        """Of the most urgent job that prefers this worker and may run; 0 if there is none."""
        first = (self._state.jobs[id_] for _, id_ in self._worker.prefers.first(FAVOURITES))
        ready = (entry for entry in first if self._may_run(entry))
        return max((Tier(entry.tier).weight for entry in ready), default=0)

    def _may_run(self, entry: Entry) -> bool:
        turns = self._state.turns.of(entry.class_, entry.tier)
        return turns.get(entry.tenant) is not None and entry.class_ in self._mine

    def _is_suspect(self, entry: Entry) -> bool:
        return self._state.is_suspect(entry, self._now_ms)

    def _is_left_for_speed(self, entry: Entry, loss_ms: float) -> bool:
        left_ms, waited_ms = entry.left_ms(self._now_ms), self._now_ms - entry.enqueued_ms
        if not self._patience.leaves(loss_ms, self._state.queued_for_slots, waited_ms, left_ms):
            return False
        faster = self._faster(entry.class_)
        if faster:
            entry.left_since_ms = self._now_ms - left_ms
            room = (name for name in faster if self._state.workers[name].free)
            self._leave_to(next(room, ""), ceil(loss_ms - left_ms))
        return bool(faster)

    def _leave_to(self, other: str, ms: int) -> None:
        if other:
            self._got.called.add(other)
        self._got.again_ms = min(self._got.again_ms or ms, ms)

    def _faster(self, class_: str) -> list[str]:
        known = ((name, self._state.workers.get(name)) for name in self._patience.faster)
        return [name for name, w in known if w and w.accepting and w.can_take(class_)]
