"""Finds keys that would stay in Redis for ever."""

from redis.asyncio import Redis

from testing.queue_contents import OF_JOBS

_OF_ALL = {
    *("llamaq:models", "llamaq:aliases", "llamaq:invited", "llamaq:revoked", "llamaq:tenants"),
    "llamaq:tokens",
}
_FOR_EVER = {"queue", "deadlines", "workers", "apis", "bell", "side_bell", "counters", "speeds"}
_FOR_EVER |= {"drained"}  # it has a bound


def _may_stay(key: str) -> bool:
    name = key.rpartition("}:")[2]
    return key in _OF_ALL or name in _FOR_EVER or name.startswith(OF_JOBS)


async def leaked_keys(redis: Redis) -> list[str]:
    """The keys of single jobs, workers and apis that have no time to live."""
    keys = sorted([key.decode() async for key in redis.scan_iter()])
    return [key for key in keys if not _may_stay(key) and await redis.ttl(key) == -1]
