"""How much of its server a worker offers to the queue."""

from worker_bridge.attempts import Attempts
from worker_bridge.breaker import Mode
from worker_bridge.health import Health, HealthMonitor


class Offer:
    """The slots that a worker's health, its circuit breaker and other users leave for jobs."""

    def __init__(self, monitor: HealthMonitor, attempts: Attempts) -> None:
        self.draining = False
        self._monitor = monitor
        self._attempts = attempts

    @property
    def accepting(self) -> bool:
        """Whether the worker takes jobs."""
        return (
            self._monitor.health is Health.HEALTHY
            and self._attempts.breaker.mode is not Mode.OPEN
            and not self.draining
        )

    @property
    def slots(self) -> int:
        """How many jobs it may hold: what Redis is told, and others see."""
        has = self._monitor.props.slots if self._monitor.props else 0
        slots = max(0, has - self._attempts.others)
        if self._attempts.breaker.mode is Mode.HALF_OPEN:
            return min(slots, len(self._attempts) + self._attempts.breaker.room(slots))
        return slots

    @property
    def most(self) -> int:
        """How many jobs a claim may take, if so many slots are free."""
        return self._attempts.breaker.room(self.slots) if self.accepting else 0

    @property
    def health(self) -> str:
        """The word for people."""
        return "draining" if self.draining else self._monitor.health.value
