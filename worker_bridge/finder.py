"""Bridges the llama-servers of this machine that nobody has named, as they come."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dispatcher.settings import QueueSettings
from dispatcher.tasks import first_of
from worker_bridge.local_servers import PORTS, Seen, look_around
from worker_bridge.metrics import BridgeMetrics
from worker_bridge.pause_watch import watch_pause
from worker_bridge.service import serve_for_good, started
from worker_bridge.settings import BridgeSettings
from worker_bridge.shared import Shared

log = logging.getLogger("llamaq.bridge")

_LOOK_EVERY_S = 2.0
_LONGEST_PAUSE_S = 60.0

Begin = Callable[[str], None]


async def run_finder(
    settings: BridgeSettings,
    queue: QueueSettings,
    metrics: BridgeMetrics | None = None,
    *,
    ports: Sequence[int] = PORTS,
) -> None:
    """Bridges each llama-server that answers on these ports, now or later, until a signal.

    None of them gets the key of the settings: whoever listens there would learn it.
    See `run_bridge` for signals. Raises `UnfitRedis`.
    """
    async with started(queue, metrics) as (signals, commands), asyncio.TaskGroup() as serving:
        shared = Shared(commands, metrics, pause=watch_pause(settings, frees=False))
        log.info("looking for llama-servers on the ports %s to %s", min(ports), max(ports))

        def begin(url: str) -> None:
            of_one = {"server": url, "server_key": None, "rpc_peers": ""}
            each = settings.model_copy(update=of_one)
            serving.create_task(serve_for_good(each, queue, shared, signals))

        await first_of(signals.drain.wait(), look_for_ever(ports, begin))


async def look_for_ever(ports: Sequence[int], begin: Begin) -> None:
    """Calls `begin` with the address of each llama-server that comes. Tells of all else once."""
    left, strangers = set(ports), dict[int, _Stranger]()
    while True:
        now = time.monotonic()
        due = {port for port in left if port not in strangers or strangers[port].due_at <= now}
        seen = {each.port: each for each in await look_around(sorted(due))}
        for port in due - seen.keys():
            strangers.pop(port, None)
        for port, each in seen.items():
            if each.is_server:
                left.remove(port)
                log.info("found a llama-server at %s", each.url)
                begin(each.url)
            else:
                strangers[port] = _meet(each, strangers.get(port), now)
        await asyncio.sleep(_LOOK_EVERY_S)


@dataclass(frozen=True, slots=True)
class _Stranger:
    """A server that is no llama-server. It may log each look, so the pauses between looks grow."""

    what: str
    pause_s: float
    due_at: float


def _meet(seen: Seen, before: _Stranger | None, now: float) -> _Stranger:
    if before is None or before.what != seen.what:
        log.warning("%s", seen)
        return _Stranger(seen.what, _LOOK_EVERY_S, now)
    pause_s = min(_LONGEST_PAUSE_S, 2 * before.pause_s)
    return _Stranger(seen.what, pause_s, now + pause_s)
