"""A bridge joins its model's workers, unless another one has the same llama-server."""

import asyncio
import logging
from collections.abc import Callable

from redis.exceptions import ResponseError

from dispatcher.errors import RedisUnavailable
from dispatcher.facts import Rival, WorkerFacts
from dispatcher.worker import WorkerSession

log = logging.getLogger("llamaq.bridge")

_RETRY_S = 1.0
_ALIVE = 2  # renewals that are seen; one may have been on its way, or be an older copy's


class ServerTaken(Exception):
    """Another bridge serves this llama-server."""

    def __init__(self, server: str, rival: Rival) -> None:
        super().__init__(
            f"The llama-server at {server} has a bridge already, worker {rival.worker}; two would "
            "give it more jobs than it has slots. Stop that bridge, or give this one a "
            "llama-server of its own (--server)."
        )


async def join(session: WorkerSession, state: Callable[[], tuple[int, bool, WorkerFacts]]) -> None:
    """Registers; waits out an outage of Redis, and a bridge of the same server that is leaving.

    One that was killed leaves a lease that runs out, later where a reaper has extended it; one that
    lives renews it itself: then this raises `ServerTaken`.
    """
    seen: Rival | None = None
    renewals = 0
    while rival := await _register(session, state):
        if seen is None or seen.worker != rival.worker:
            log.warning("worker=%s still has this server: waiting for its end", rival.worker)
        elif rival.renewed_ms != seen.renewed_ms and not rival.draining:
            renewals += 1
        if renewals == _ALIVE:
            raise ServerTaken(state()[2].server, rival)
        seen = rival
        await asyncio.sleep(_RETRY_S)


async def _register(
    session: WorkerSession, state: Callable[[], tuple[int, bool, WorkerFacts]]
) -> Rival | None:
    """Tries until there is an answer; returns who has the server."""
    while True:
        try:
            return await session.register(*state())
        except RedisUnavailable as error:
            log.warning("%s Trying again.", error.message)
            if session.invited and "NOPERM" in error.message:
                model = state()[2].model
                log.error("This machine was invited to another model than %r: see --model.", model)
        except ResponseError as error:
            log.error("The worker can't be registered: %r. Trying again.", error)
        await asyncio.sleep(_RETRY_S)
