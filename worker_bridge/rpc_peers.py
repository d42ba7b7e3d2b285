"""The RPC peers of a llama-server: other machines, each with a part of its model.

A llama-server that has lost one of them looks well, and aborts at its next request. So it gets no
work from then on, until another process of it runs and all peers answer.
"""

import asyncio
import logging
from collections.abc import Sequence

from dispatcher.beat import until_beat_s
from worker_bridge.health import ProbeResult
from worker_bridge.rpc_peer import Peer, WatchedPeer

log = logging.getLogger("llamaq.health")

_TICK_S = 1.0
_SILENCES = 2  # as many make a server down


class RpcPeers:
    """The RPC peers of one llama-server. `restarts`: the bridge restarts it after a loss.

    `lost` is set at each loss.
    """

    def __init__(self, peers: Sequence[Peer], *, restarts: bool = False) -> None:
        self.lost = asyncio.Event()
        self._watched = [WatchedPeer(peer, self.lost.set) for peer in peers]
        self._restarts = restarts
        self._process = ""
        self._silences = 0

    @property
    def why(self) -> str:
        """Why the llama-server can't work; empty where it can, as far as its peers go."""
        return "; ".join(filter(None, map(self._why, self._watched)))

    async def look(self, found: ProbeResult, process: str, *, asleep: bool) -> None:
        """Looks at them, after a look at this process of the llama-server."""
        self._silences = self._silences + 1 if found is ProbeResult.SILENT else 0
        if not self._watched or 0 < self._silences < _SILENCES:
            return
        if found is ProbeResult.OK:
            self._notice_restart(process)
        if found is ProbeResult.OK and not asleep:
            looks = [peer.knock() if self._has_lost else peer.attend() for peer in self._watched]
            await asyncio.gather(*looks)
        else:
            may_wake = asleep or found is ProbeResult.SILENT
            for peer in self._watched:
                peer.leave_alone() if may_wake else peer.let_go()
            await self._look_without_server(found)

    def let_go(self) -> None:
        """Nothing keeps the peers from serving another llama-server."""
        for peer in self._watched:
            peer.let_go()

    @property
    def _has_lost(self) -> bool:
        return any(peer.is_lost for peer in self._watched)

    def _notice_restart(self, process: str) -> None:
        if process != self._process and process:  # older builds don't tell
            self._process = process
            self._forget()

    async def _look_without_server(self, found: ProbeResult) -> None:
        loads_anew = found is ProbeResult.LOADING and not self._process
        if found is ProbeResult.REFUSED or loads_anew:
            self._forget()
        if found is not ProbeResult.LOADING:  # it shows itself whether they answer
            await asyncio.gather(*(peer.knock() for peer in self._watched))

    def _forget(self) -> None:
        for peer in self._watched:
            peer.forget()

    def _why(self, watched: WatchedPeer) -> str:
        which = f"its RPC peer {watched.peer}"
        again = "" if self._restarts or not watched.is_lost else ", then restart this llama-server"
        if watched.trouble:
            return (
                f"{which} does not answer ({watched.trouble}): start ggml-rpc-server there{again}"
            )
        if watched.is_lost and self._restarts:
            return f"{which} was lost: this llama-server starts again"
        return f"{which} was lost and is back: restart this llama-server" if watched.is_lost else ""


async def until_all_answer(peers: Sequence[Peer]) -> None:
    """Returns once each of them answers; says meanwhile which one is waited for."""
    watched = RpcPeers(peers)
    while True:
        await watched.look(ProbeResult.REFUSED, "", asleep=False)
        if not watched.why:
            return
        log.warning("llama-server has to wait: %s", watched.why)
        await asyncio.sleep(until_beat_s(_TICK_S))
