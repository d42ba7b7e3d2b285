"""The tick that recovers what dead processes held. Every API and every bridge runs one."""

import asyncio
import logging
from typing import Any

from dispatcher.errors import RedisUnavailable
from dispatcher.scripts import Scripts

log = logging.getLogger("llamaq.reaper")

TICK_S = 1.0
_LIMIT = 100


async def reap(scripts: Scripts, lease_s: float) -> list[Any]:
    """Runs the script once; returns its answer (lua/reap.lua)."""
    return await scripts.run("reap", int(lease_s * 1000), _LIMIT)


async def run_reaper(scripts: Scripts, lease_s: float) -> None:
    """Reaps for ever, also through an outage of Redis."""
    while True:
        try:
            verdict, *counts = await reap(scripts, lease_s)
            if verdict == b"OK" and any(counts):
                _log(*counts)
        except RedisUnavailable:
            pass  # whoever needs Redis for more than this reports it
        await asyncio.sleep(TICK_S)


def _log(
    workers: int, jobs: int, late: int, apis: int, damaged: int = 0, what: bytes = b""
) -> None:
    log.info("reaped workers=%s jobs=%s deadlines=%s apis=%s", workers, jobs, late, apis)
    if damaged:  # one reaper is told
        said = what.decode(errors="replace")
        log.error("%s damaged jobs have ended as failed; the last: %s", damaged, said)
