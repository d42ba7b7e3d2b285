"""Is the server fit for work? Three levels: the process, its model, its engine."""

import asyncio
import logging
import time
from enum import StrEnum

from worker_bridge.llama import Answer, LlamaServer, Props

log = logging.getLogger("llamaq.health")

_TICK_S = 1.0
_PROBE_S = 1.0
_PROPS_EVERY_S = 2.0
# /slots costs the engine something, and keeps a server awake that would else unload its model. It
# is asked where jobs show no progress, and before a server gets work.
_ENGINE_QUIET_S = 7.0
_ENGINE_S = 5.0
_SILENCES = 2  # a busy machine may miss one probe


class Health(StrEnum):
    """What the server is fit for; only a healthy one gets work."""

    STARTING = "starting"  # not seen yet
    LOADING = "loading"
    HEALTHY = "healthy"
    DOWN = "down"
    SUSPECT = "suspect"  # it has failed a request, and is looked at before it gets another
    OVERLOADED = "overloaded"  # it has refused a request because it has too many
    WEDGED = "wedged"  # it answers, but its engine doesn't
    MISCONFIGURED = "misconfigured"  # not the server that this bridge was told of


_DISTRUST_S = {Health.MISCONFIGURED: 5.0, Health.OVERLOADED: 1.0}
_AFTER = {
    Answer.OK: Health.HEALTHY,
    Answer.LOADING: Health.LOADING,
    Answer.REFUSED: Health.DOWN,
    Answer.UNREACHABLE: Health.DOWN,
    Answer.UNAUTHORIZED: Health.MISCONFIGURED,
    Answer.STRANGE: Health.MISCONFIGURED,
}


def next_health(now: Health, answer: Answer, silences: int) -> Health:
    """The health after a look at the server that came back with `answer`.

    `silences` counts the looks in a row, this one included, that got no answer.

    >>> next_health(Health.HEALTHY, Answer.SILENT, 1), next_health(Health.HEALTHY, Answer.SILENT, 2)
    (<Health.HEALTHY: 'healthy'>, <Health.DOWN: 'down'>)
    """
    if answer is not Answer.SILENT:
        return _AFTER[answer]
    if silences >= _SILENCES:
        return Health.DOWN
    return now


class HealthMonitor:
    """Looks at the server every second, and at once when `doubt` is called.

    `moved` tells it of jobs that get something from the engine; it then needs no probe. Nor does it
    while no job is `at_work`: the first one shows whether the engine answers.
    `changed` is set at each change of health or of what the server says of itself. What was begun
    before `broke_at` (s) can't end any more: the process that had it is gone. Since `silent_since`
    nothing was heard of it, or of its engine.
    """

    def __init__(self, server: LlamaServer) -> None:
        self.health = Health.STARTING
        self.props: Props | None = None
        self.changed = asyncio.Event()
        self.at_work = False
        self.broke_at = float("-inf")
        self.silent_since: float | None = None
        self.server = server
        self._processes: set[str] = set()
        self._silences = 0
        self._refused_at: float | None = None
        self._doubted = asyncio.Event()
        self._suspicious = False
        self._moved_at = self._props_at = self._trusted_at = float("-inf")

    def moved(self, at: float) -> None:
        """A job got something from the engine at this time of the monotonic clock."""
        self._moved_at = max(self._moved_at, at)

    def doubt(self, health: Health) -> None:
        """A request has failed: no more work until a probe of all three levels says otherwise.

        One that looks well but is misconfigured or overloaded gets its next try only after a while.
        """
        self._suspicious = True
        if health in _DISTRUST_S:
            self._trusted_at = time.monotonic() + _DISTRUST_S[health]
        self._become(health)
        self._doubted.set()

    async def run(self) -> None:
        """Looks for ever."""
        while True:
            await self._look()
            try:
                async with asyncio.timeout(_TICK_S):
                    await self._doubted.wait()
            except TimeoutError:
                continue
            self._doubted.clear()
            await asyncio.sleep(0.1)  # a process that dies needs a moment to close its socket

    async def _look(self) -> None:
        answer = await self.server.health(_PROBE_S)
        if answer is Answer.OK:
            answer = await self._look_at_props()
        wedged = answer is Answer.OK and not await self._engine_answers()
        self._notice_silence(wedged or answer is Answer.SILENT)
        if wedged:
            self._become(Health.WEDGED)
            return
        self._notice_death(answer)
        self._silences = self._silences + 1 if answer is Answer.SILENT else 0
        if self._doubted.is_set():
            return  # what was seen is older than the doubt
        if answer is Answer.OK:
            if time.monotonic() < self._trusted_at:
                return
            self._suspicious = False
        self._become(next_health(self.health, answer, self._silences))

    def _notice_silence(self, silent: bool) -> None:
        if not silent:
            self.silent_since = None
        elif self.silent_since is None:
            self.silent_since = time.monotonic()

    def _notice_death(self, answer: Answer) -> None:
        # A connection whose other end lost its power stays open for hours.
        if answer is not Answer.REFUSED:
            self._refused_at = None
        elif self._refused_at is None:
            self._refused_at = time.monotonic()
        else:
            self.broke_at = max(self.broke_at, self._refused_at)

    async def _look_at_props(self) -> Answer:
        now = time.monotonic()
        if self.health is Health.HEALTHY and now - self._props_at < _PROPS_EVERY_S:
            return Answer.OK
        answer, props = await self.server.props(_PROBE_S)
        if props is not None:
            if self._processes and props.process not in self._processes:
                self.broke_at = max(self.broke_at, self._props_at)
            self._processes.add(props.process)  # one that comes back is behind a load balancer
            self._props_at = now
            if props != self.props:
                self.props = props
                self._trusted_at = now  # it is another one
                self.changed.set()
        return answer

    async def _engine_answers(self) -> bool:
        if self._is_asleep() or not self._engine_is_in_doubt():
            return True
        answer, _ = await self.server.busy_slots(_ENGINE_S)
        if answer is Answer.SILENT:
            self._props_at = float("-inf")
            await self._look_at_props()
            return self._is_asleep()  # it fell asleep meanwhile, and wakes up
        self._moved_at = time.monotonic()
        return True

    def _engine_is_in_doubt(self) -> bool:
        quiet = time.monotonic() - self._moved_at > _ENGINE_QUIET_S
        is_trusted = self.health is Health.HEALTHY and not self._suspicious
        return not is_trusted or (self.at_work and quiet)

    def _is_asleep(self) -> bool:
        return self.props is not None and self.props.sleeping  # the question would wake it

    def _become(self, health: Health) -> None:
        if health is not self.health:
            log.info("server=%s health=%s was=%s", self.server.url, health, self.health)
            self.health = health
            self.changed.set()
