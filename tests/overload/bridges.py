"""A trial of bridges that go while requests come at an even rate."""

import asyncio
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.load_generator import at_times, run
from dispatcher.connection import open_redis
from dispatcher.registry import read_models
from testing.processes import Program
from tests.burst.fleet import Fleet, fleet
from tests.overload.finding import Finding, Outcome
from tests.overload.loads import chats

_RATE = 20  # requests/s, and tokens/s of a slot
_TOKENS = 20
_FOR_S = 40
_KILLED_AT_S, _PAUSED_AT_S, _PAUSED_FOR_S = 5, 18, 7
_LATE_S = 2.0


def bridges(folder: Path) -> Iterator[Finding]:
    """20 requests/s on three bridges: one is killed, later another one is paused for 7 s."""
    with fleet(folder, 3, 40, _RATE) as of:
        answers, killed, paused = run(_with_faults(of))  # type: ignore[arg-type, misc]
    outcome = Outcome.of(answers)
    for why in outcome.reasons():
        print(f"    {why}")
    alone_s = _TOKENS / _RATE
    late = [answer for answer in outcome.whole if answer.ended_s > alone_s + _LATE_S]
    yield Finding("answered whole, of 800", len(outcome.whole), least=_RATE * _FOR_S)
    yield Finding("held by the bridge that was killed", killed)
    yield Finding("held by the bridge that was paused", paused)
    yield Finding("late by over 2 s", len(late), most=killed + paused)
    yield Finding("the latest one, s", max(answer.ended_s for answer in outcome.whole) - alone_s)


async def _with_faults(of: Fleet) -> Any:
    requests = chats(_RATE * _FOR_S, _TOKENS, every_s=1 / _RATE)
    load = asyncio.create_task(at_times(of.port, requests))
    killed, paused = of.bridges[:2]
    await asyncio.sleep(_KILLED_AT_S)
    killed.signal(signal.SIGKILL)
    held_by_killed = await _held(of, killed)
    await asyncio.sleep(_PAUSED_AT_S - _KILLED_AT_S)
    paused.signal(signal.SIGSTOP)
    held_by_paused = await _held(of, paused)
    await asyncio.sleep(_PAUSED_FOR_S)
    paused.signal(signal.SIGCONT)
    return await load, held_by_killed, held_by_paused


async def _held(of: Fleet, bridge: Program) -> int:
    """How many jobs a bridge has, as Redis knows."""
    found = re.search(r"joined worker=(\S+)", bridge.output)
    assert found
    redis = open_redis(of.redis_url)
    try:
        workers = [worker for model in await read_models(redis) for worker in model.workers]
    finally:
        await redis.aclose()
    return next(worker.running for worker in workers if worker.id == found[1])
