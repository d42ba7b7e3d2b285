"""Looks at the server: its process, its model, its engine."""

import asyncio
import logging
import time

from dispatcher.beat import until_beat_s
from worker_bridge.health import Health, ProbeResult, next_health
from worker_bridge.impostor import look_behind
from worker_bridge.llama import LlamaServer
from worker_bridge.rpc_peers import RpcPeers
from worker_bridge.server_state import ServerState

log = logging.getLogger("llamaq.health")

_TICK_S = 1.0
_OWN_TICK_S = 0.2  # of a server that is just being started: each look is a connection refused
_PROBE_S = 1.0
_PROPS_EVERY_S = 1.5  # so at every second tick
# /slots costs the engine something, and keeps a server awake that would else unload its model. It
# is asked where jobs show no progress, and before a server gets work.
_ENGINE_QUIET_S = 7.0
_ENGINE_S = 5.0
_DISTRUST_S = {Health.MISCONFIGURED: 5.0, Health.OVERLOADED: 1.0}


class HealthMonitor:
    """Looks at the server every second, and at once when `doubt` is called.

    Jobs that get something from the engine make a look at it needless. So does a server without
    jobs: the first one shows whether the engine answers. A server that the bridge has started is
    `our_own`: until it is known it is looked at more often.
    """

    def __init__(
        self,
        server: LlamaServer,
        state: ServerState,
        peers: RpcPeers | None = None,
        *,
        our_own: bool = False,
    ) -> None:
        self.our_own = our_own
        self._server = server
        self._state = state
        self._peers = peers or RpcPeers(())
        self._processes: set[str] = set()
        self._silences = 0
        self._stranger = ""  # what is there in place of the server
        self._refused_at: float | None = None
        self._doubted = asyncio.Event()
        self._suspicious = False
        self._props_at = self._trusted_at = float("-inf")

    def doubt(self, health: Health) -> None:
        """A request has failed: no more work until a probe of all three levels says otherwise.

        One that looks well but is misconfigured or overloaded gets its next try only after a while.
        """
        self._suspicious = True
        if health in _DISTRUST_S:
            self._trusted_at = time.monotonic() + _DISTRUST_S[health]
        self._state.become(health)
        self._doubted.set()

    async def run(self) -> None:
        """Looks for ever."""
        while True:
            await self._look()
            try:
                is_starting = self.our_own and not self._state.is_known
                tick_s = _OWN_TICK_S if is_starting else until_beat_s(_TICK_S)
                async with asyncio.timeout(tick_s):
                    await self._doubted.wait()
            except TimeoutError:
                continue
            self._doubted.clear()
            await asyncio.sleep(0.1)  # a process that dies needs a moment to close its socket

    async def _look(self) -> None:
        found = await self._look_at_process()
        is_whole = await self._look_at_peers(found)
        wedged = found is ProbeResult.OK and is_whole and not await self._engine_answers()
        self._notice_silence(wedged or found is ProbeResult.SILENT)
        if wedged:
            self._state.become(Health.WEDGED)
            return
        self._notice_death(found)
        self._silences = self._silences + 1 if found is ProbeResult.SILENT else 0
        if not is_whole:
            self._state.become(Health.INCOMPLETE)
            return
        if self._doubted.is_set():
            return  # what was seen is older than the doubt
        if found is ProbeResult.OK:
            if time.monotonic() < self._trusted_at:
                return
            self._suspicious = False
        health = next_health(self._state.health, found, self._silences)
        self._state.become(health)
        await self._explain(health)

    async def _explain(self, health: Health) -> None:
        """Says what came in the place of a server that was one. A bridge that waits says it."""
        if health is not Health.MISCONFIGURED or not self._state.is_known:
            self._stranger = ""
        elif not self._stranger:
            self._stranger = await look_behind(self._server)
        self._state.explain(self._peers.why or self._stranger)

    def _notice_silence(self, silent: bool) -> None:
        if not silent:
            self._state.silent_since = None
        elif self._state.silent_since is None:
            self._state.silent_since = time.monotonic()

    def _notice_death(self, found: ProbeResult) -> None:
        # A connection whose other end lost its power stays open for hours.
        if found is not ProbeResult.REFUSED:
            self._refused_at = None
        elif self._refused_at is None:
            self._refused_at = time.monotonic()
        else:
            self._state.broke(self._refused_at)

    async def _look_at_peers(self, found: ProbeResult) -> bool:
        """Whether all of those are there that the server needs."""
        known = self._state.props if self._state.is_known else None
        process, asleep = (known.process, known.sleeping) if known else ("", False)
        await self._peers.look(found, process, asleep=asleep)
        self._state.explain(self._peers.why or self._stranger)
        return not self._peers.why

    async def _look_at_process(self) -> ProbeResult:
        """What a healthy server says of itself shows that it lives, and is asked for less often."""
        if self._state.health is not Health.HEALTHY:
            found = await self._server.health(_PROBE_S)
            return await self._look_at_props() if found is ProbeResult.OK else found
        if time.monotonic() - self._props_at < _PROPS_EVERY_S:
            return await self._server.health(_PROBE_S)
        return await self._look_at_props()

    async def _look_at_props(self) -> ProbeResult:
        now = time.monotonic()
        found, props = await self._server.props(_PROBE_S)
        if props is not None:
            if self._processes and props.process not in self._processes:
                self._state.broke(self._props_at)
            self._processes.add(props.process)  # behind a load balancer an old one comes back
            self._props_at = now
            if self._state.learn(props):
                self._trusted_at = now  # it is another one
        return found

    async def _engine_answers(self) -> bool:
        if self._is_asleep() or not self._engine_is_in_doubt():
            return True
        found, _ = await self._server.busy_slots(_ENGINE_S)
        if found is ProbeResult.SILENT:
            self._props_at = float("-inf")
            await self._look_at_props()
            return self._is_asleep()  # it fell asleep meanwhile, and wakes up
        self._state.moved(time.monotonic())
        return True

    def _engine_is_in_doubt(self) -> bool:
        quiet = time.monotonic() - self._state.moved_at > _ENGINE_QUIET_S
        is_trusted = self._state.health is Health.HEALTHY and not self._suspicious
        return not is_trusted or (self._state.held > 0 and quiet)

    def _is_asleep(self) -> bool:
        return self._state.is_known and self._state.props.sleeping  # the question would wake it
