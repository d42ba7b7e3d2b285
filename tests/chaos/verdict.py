"""What must be true of Redis and of the servers when everybody has gone."""

import asyncio
from contextlib import suppress
from pathlib import Path

import httpx
from redis.asyncio import Redis

from dispatcher.keys import Keys
from tests.chaos.fleet import MODEL, Fleet

_PREFIX = Keys(MODEL).prefix
# Keys that are there for ever, and what tenants were served: remembered while others had less.
_MAY_STAY = ("llamaq:models", "workers", "apis", "bell", "counters", "speeds", "served:", "idle:")
_EMPTY = "queue", "classes", "deadlines", "waiting", "waiting_bytes", "busy", "parked"
_MISTAKES = "Traceback", "nobody thought of", "task failed"


async def settled(fleet: Fleet, timeout_s: float) -> list[str]:
    """Waits until nothing is left behind; else what is."""
    left = ["not looked yet"]
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            while left:
                await asyncio.sleep(0.5)
                left = [*await _left_in_redis(fleet), *await _busy_slots(fleet)]
    return left


async def _left_in_redis(fleet: Fleet) -> list[str]:
    redis = fleet.open_redis()
    try:
        return [
            *await _keys_for_ever(redis),
            *await _unfinished(redis),
            *await _dead(redis, "workers", len(fleet.bridges)),
            *await _dead(redis, "apis", len(fleet.apis)),
        ]
    finally:
        await redis.aclose()


async def _keys_for_ever(redis: Redis) -> list[str]:
    names = [key.decode().removeprefix(_PREFIX) async for key in redis.scan_iter(count=1000)]
    single = [name for name in names if not name.startswith(_MAY_STAY)]
    return [f"{name} stays for ever" for name in single if await redis.ttl(_PREFIX + name) == -1]


async def _unfinished(redis: Redis) -> list[str]:
    left = [f"{name} is not empty" for name in _EMPTY if await redis.exists(_PREFIX + name)]
    for key in await redis.keys(f"{_PREFIX}running:*"):
        left += [
            f"{key.decode()} holds {attempt_id}" for attempt_id in await redis.zrange(key, 0, -1)
        ]
    running, queued = await redis.hmget(_PREFIX + "counters", "running", "queued_bytes")
    if int(running or 0) or int(queued or 0):
        left.append(f"counters: running={running} queued_bytes={queued}")
    return left


async def _dead(redis: Redis, name: str, alive: int) -> list[str]:
    dead = await redis.zcard(_PREFIX + name) - alive
    return [f"{name}: {dead} too many"] if dead > 0 else []


async def _busy_slots(fleet: Fleet) -> list[str]:
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        found = []
        for link in fleet.links.values():
            if link.pace:
                slots = (await client.get(f"http://127.0.0.1:{link.target_port}/slots")).json()
                busy = sum(slot["is_processing"] for slot in slots)
                found += [f"{link.name}: {busy} slots are busy"] * (busy > 0)
        return found


def mistakes(folder: Path) -> list[str]:
    """Lines of the processes' logs that tell of a mistake in the program rather than of a fault."""
    return [
        f"{log.name}: {line}"
        for log in sorted(folder.glob("*.log"))
        if log.name != "chaos.log"
        for line in log.read_text(errors="replace").splitlines()
        if any(word in line for word in _MISTAKES)
    ]
