"""Workers as the reference knows them, and what a claim brings one."""

from dataclasses import dataclass, field

from bench.reference.scores import Scores
from bench.reference.turns import Entry
from dispatcher.constants import FASTER_RATIO, MOST_WORTH_MS, REPREFILL_FACTOR, SIDE_PLACES
from dispatcher.needs import read_needs


@dataclass(slots=True)
class Worker:
    """A bridge with its server. `process` changes when the server is started again.

    `prompt_tps` and `decode_tps` are in tokens per second of one slot, 0 where not measured.
    `suspect` is the job that runs here and has crashed a server before. `running` are the jobs in
    its slots, `sides` those that need none.
    """

    slots: int
    accepting: bool = True
    context: int = 0
    modalities: frozenset[str] = frozenset()
    fingerprint: str = ""
    process: str = ""
    prompt_tps: float = 0
    decode_tps: float = 0
    suspect: str = ""
    running: set[str] = field(default_factory=set)
    sides: set[str] = field(default_factory=set)
    prefers: Scores = field(default_factory=Scores)

    @property
    def free(self) -> int:
        """Slots that may be given work."""
        return max(0, self.slots - len(self.running)) if self.accepting else 0

    @property
    def free_sides(self) -> int:
        """Side places that may be given work."""
        return max(0, SIDE_PLACES - len(self.sides)) if self.accepting else 0

    def is_peer(self, other: "Worker") -> bool:
        """Whether the other is not noticeably slower; one that is not measured is not."""
        is_measured = self.decode_tps > 0 and other.decode_tps > 0
        return not is_measured or other.decode_tps * FASTER_RATIO >= self.decode_tps

    def crowd(self, more: int) -> float:
        """How many jobs each slot would have with some more, those that prefer it included."""
        return (len(self.running) + len(self.prefers) + more) / self.slots

    def times_as_long_at(self, other: "Worker") -> float:
        """How many times as long an answer takes there; 1 if not twice as long."""
        theirs = other.decode_tps
        return self.decode_tps / theirs if 0 < 2 * theirs <= self.decode_tps else 1

    def reprefill_ms(self, tokens: int) -> float:
        """What it costs to evaluate here what another worker has in its cache."""
        if self.prompt_tps <= 0:
            return 0
        held_up = self.slots if self.running else 1
        return min(MOST_WORTH_MS, tokens * REPREFILL_FACTOR * 1000 / self.prompt_tps * held_up)

    def can_take(self, class_: str) -> bool:
        """Whether it meets the needs of a class."""
        return read_needs(class_).met_by(self.context, self.modalities, self.fingerprint)


@dataclass(slots=True)
class Claimed:
    """What a claim brought: jobs; when to claim again (0: never); whose bells it rang."""

    jobs: list[Entry] = field(default_factory=list)
    again_ms: int = 0
    called: set[str] = field(default_factory=set)
