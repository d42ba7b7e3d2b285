"""The known state of one llama-server, for all that decide about its jobs."""

import asyncio
import logging
import time

from worker_bridge.breaker import Breaker, Mode, Outcome
from worker_bridge.health import Health
from worker_bridge.props import Props
from worker_bridge.speed import Speedometer

log = logging.getLogger("llamaq.bridge")


class ServerState:
    """What is known of the server at `url`: its health, its slots, its speed, who uses it.

    `renew_soon` is set by each change that Redis and the other workers should hear of at once.
    `reason` is why it is not fit for work, where more can be said than its health does.
    `held` counts the attempts of its worker that take slots, `asking` those of them whose request
    it has.
    `others` is how many of its slots somebody else uses. Attempts begun before `broke_at` can't end
    any more: their process is gone. Since `silent_since` nothing was heard of it, or of
    its engine. At `moved_at` a job last got something from the engine. All three are monotonic
    seconds. It `is_replaced` when it has another model than its worker serves, or another form of
    it, which must not continue the answers that were begun. While it is
    `giving_way` to another model it takes no jobs, nor while an operator has `drained` the worker.
    It is paused until `paused_until_s`, Unix time; 0: it is not.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.health = Health.STARTING
        self.reason = ""
        self.breaker = Breaker()
        self.speed = Speedometer()
        self.renew_soon = asyncio.Event()
        self.draining = self.fenced = self.giving_way = self.drained = False
        self.paused_until_s = 0.0
        self.others = 0
        self.held = 0
        self.asking = 0
        self.broke_at = self.moved_at = float("-inf")
        self.silent_since: float | None = None
        self.is_replaced = False
        self._props: Props | None = None
        self._served: tuple[str, str] | None = None

    @property
    def is_known(self) -> bool:
        """Whether the server has told what it is."""
        return self._props is not None

    @property
    def props(self) -> Props:
        """What the server said of itself last; before it has, there is no bridge to ask."""
        if self._props is None:
            raise RuntimeError(f"the server at {self.url} has not told yet what it is")
        return self._props

    @property
    def tells_beginnings(self) -> bool:
        """Whether it sends its headers when a slot begins; builds before that have no process."""
        return self.props.process != ""

    @property
    def accepting(self) -> bool:
        """Whether the worker takes jobs."""
        if self.draining or self.giving_way or self.is_replaced:
            return False
        if self.drained or self.paused_until_s:
            return False
        return self.health is Health.HEALTHY and self.breaker.mode is not Mode.OPEN

    @property
    def slots(self) -> int:
        """How many jobs the worker may hold: what Redis is told, and others see."""
        slots = max(0, self.props.slots - self.others)
        if self.breaker.mode is Mode.HALF_OPEN:
            return min(slots, self.held + self.breaker.room(slots))
        return slots

    @property
    def most(self) -> int:
        """How many jobs a claim may take, given the free slots."""
        if not self.accepting:
            return 0
        slots = self.slots
        return slots if self.breaker.mode is Mode.CLOSED else self.breaker.room(slots)

    @property
    def expected_busy(self) -> int:
        """How many of its slots should be at work."""
        return self.asking + self.others

    @property
    def shown_health(self) -> str:
        """The word for people."""
        if self.draining:
            return "draining"
        return "giving way" if self.giving_way else self.health.value

    def become(self, health: Health) -> None:
        """A look at the server, or a request that failed, tells of this health."""
        if health is not self.health:
            log.info("server=%s health=%s was=%s", self.url, health, self.health)
            self.health = health
            self.renew_soon.set()

    def explain(self, reason: str) -> None:
        """Says why the server is not fit for work; nothing where it is, or its health says all."""
        if reason != self.reason:
            if reason:
                log.warning("server=%s %s", self.url, reason)
            self.reason = reason
            self.renew_soon.set()

    def broke(self, at: float) -> None:
        """Attempts begun before this can't end any more."""
        self.broke_at = max(self.broke_at, at)

    def learn(self, props: Props) -> bool:
        """The server says this of itself; returns whether that is news."""
        if props == self._props:
            return False
        self._props = props
        self.is_replaced = self._served not in (None, props.identity)
        self.renew_soon.set()
        return True

    def begin_to_serve(self) -> Props:
        """The worker serves what the server has now."""
        self._served = self.props.identity
        return self.props

    def see_others(self, slots: int) -> None:
        """Notes how many slots of the server others use."""
        if slots != self.others:
            log.info("server=%s slots used by others: %s", self.url, slots)
            self.others = slots
            self.renew_soon.set()

    def drain(self) -> None:
        """The worker takes no more jobs."""
        self.draining = True
        self.renew_soon.set()

    def give_way(self, *, to_another: bool) -> None:
        """The worker takes no jobs for now, as another model is wanted; or it takes jobs again."""
        if to_another != self.giving_way:
            self.giving_way = to_another
            self.renew_soon.set()

    def heed_order(self, *, drained: bool) -> None:
        """An operator lets the worker take no jobs; or it takes jobs again."""
        if drained != self.drained:
            log.warning(
                "server=%s %s by an operator", self.url, "drained" if drained else "resumed"
            )
            self.drained = drained
            self.renew_soon.set()

    def fence(self) -> None:
        """Redis says that the worker is not who it thinks: others may hold its jobs already."""
        self.fenced = True
        self.renew_soon.set()

    def moved(self, at: float) -> None:
        """A job got something from the engine at this time."""
        self.moved_at = max(self.moved_at, at)

    def ended(self, round_: int, outcome: Outcome) -> None:
        """An attempt of a round of the breaker has ended."""
        before = self.breaker.mode
        self.breaker.ended(round_, outcome, time.monotonic())
        self._tell_of_breaker(before)

    def probed(self, round_: int, *, answered: bool) -> None:
        """The bridge's own request of a round of the breaker was answered, or failed."""
        before = self.breaker.mode
        self.breaker.probed(round_, time.monotonic(), answered=answered)
        self._tell_of_breaker(before)

    def _tell_of_breaker(self, before: Mode) -> None:
        mode = self.breaker.mode
        if mode is not before:
            level = logging.WARNING if mode is Mode.OPEN else logging.INFO
            log.log(level, "server=%s breaker=%s", self.url, mode)
            self.renew_soon.set()
