"""What the queue should do, in a few lines of Python."""

from collections.abc import Iterable
from dataclasses import dataclass, field

SLOTS = {"v": 1, "w": 3}
TENANTS = ("ann", "bob", "a")
MAX_ATTEMPTS, MAX_CRASHES = 3, 2


@dataclass(slots=True)
class SmallJob:
    """One job as the model sees it."""

    tenant: str
    size: int
    is_side: bool = False
    state: str = "queued"
    attempt_id: str = ""
    worker: str = ""
    attempts: int = 0
    crashes: int = 0
    avoids: str = ""
    visible: bool = False
    cancelled: bool = False
    generation: int = 1

    @property
    def ended(self) -> bool:
        return self.state not in ("queued", "running", "lost")


@dataclass(slots=True)
class SmallModel:
    """All jobs by id; they are numbered in the order in which they came.

    Servers crashed under the tenants that are `suspects`.
    """

    jobs: dict[str, SmallJob] = field(default_factory=dict)
    suspects: frozenset[str] = frozenset()

    def of(self, state: str, worker: str = "") -> list[str]:
        wanted = ((id_, job) for id_, job in self.jobs.items() if job.state == state)
        return [id_ for id_, job in wanted if not worker or job.worker == worker]

    def count(self, ids: Iterable[str], *, sides: bool) -> int:
        """How many of these need a slot, or how many don't."""
        return sum(self.jobs[id_].is_side is sides for id_ in ids)

    def is_suspect(self, id_: str) -> bool:
        """Whether it runs beside no other suspect."""
        job = self.jobs[id_]
        return not job.visible and (job.crashes > 0 or job.tenant in self.suspects)

    def eager(self, worker: str) -> list[str]:
        """The queued jobs that a worker leaves to nobody else, and that need not wait."""
        alone = not any(map(self.is_suspect, self.of("running", worker)))
        may_wait = self.suspects if alone else self.suspects | set(TENANTS)
        return [
            id_
            for id_ in self.of("queued")
            if self.jobs[id_].avoids != worker
            and not (self.is_suspect(id_) and self.jobs[id_].tenant in may_wait)
        ]

    def in_turn(self, id_: str, worker: str) -> bool:
        """Whether it is the oldest of its tenant, but for those that are left to others."""
        own = self.jobs[id_]
        eager = [(other, self.jobs[other]) for other in self.eager(worker)]
        older = [
            other for other, job in eager if (job.tenant, job.is_side) == (own.tenant, own.is_side)
        ]
        return not older or self.of("queued").index(id_) <= self.of("queued").index(older[0])

    def claim(self, attempt_id: str, worker: str) -> None:
        job = self.jobs[attempt_id.rpartition(":")[0]]
        job.state, job.attempt_id, job.worker = "running", attempt_id, worker
        job.attempts += 1

    def resume(self, id_: str, size: int) -> str:
        """What a lost job's api is told when it has it go on with a body of this size.

        A running one had begun anew what was seen before.
        """
        job = self.jobs[id_]
        if job.cancelled:
            return "GONE"
        job.size, job.visible = size, True
        failed = job.attempts >= MAX_ATTEMPTS or job.crashes >= MAX_CRASHES
        spent = failed and job.state == "lost"
        job.state = "failed" if spent else "queued"
        job.generation += not spent
        return "SPENT" if spent else "OK"

    def give_back(self, id_: str) -> str:
        """The verdict on an attempt that ended without an answer."""
        job = self.jobs[id_]
        verdict = "revoked"
        if job.cancelled:
            verdict = "cancelled"
        elif job.visible:
            verdict = "lost"
        elif job.attempts >= MAX_ATTEMPTS or job.crashes >= MAX_CRASHES:
            verdict = "failed"
        job.state = "queued" if verdict == "revoked" else verdict
        return verdict

    @property
    def queued_bytes(self) -> int:
        return sum(self.jobs[id_].size for id_ in self.of("queued"))
