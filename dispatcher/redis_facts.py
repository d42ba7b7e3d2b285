"""What a Redis tells of itself, as far as the queue depends on it."""

from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import AskError, ResponseError

from dispatcher.connection import redis_faults

_SETTINGS = "appendfsync", "min-replicas-to-write", "stop-writes-on-bgsave-error", "save"


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """What INFO and CONFIG GET say. Empty text and None: the server does not tell.

    Managed servers hide their configuration, and some of them INFO too.
    """

    product: str = "Redis"
    version: str = ""
    mode: str = ""
    is_replica: bool = False
    replicas: int = 0
    policy: str = ""
    max_bytes: int | None = None
    used_bytes: int = 0
    appends: bool | None = None
    fsync: str = ""
    snapshots: bool | None = None
    save_failed: bool = False
    append_failed: bool = False
    stops_writes: bool | None = None
    least_replicas: int | None = None


async def read_redis_facts(redis: Redis) -> RedisFacts:
    """Asks for them. Raises `RedisUnavailable`."""
    with redis_faults():
        about = await _info(redis)
        told = {name: await _setting(redis, name) for name in _SETTINGS}
        policy = about.get("maxmemory_policy") or await _setting(redis, "maxmemory-policy")
    is_valkey = "valkey_version" in about
    return RedisFacts(
        product="Valkey" if is_valkey else "Redis",
        version=str(about.get("valkey_version" if is_valkey else "redis_version") or ""),
        mode=_mode(about),
        is_replica=about.get("role") == "slave",
        replicas=int(about.get("connected_slaves") or 0),
        policy=str(policy or ""),
        max_bytes=about.get("maxmemory"),
        used_bytes=int(about.get("used_memory") or 0),
        appends=_flag(about.get("aof_enabled")),
        fsync=told["appendfsync"],
        snapshots=None if not told["save"] and not about else bool(told["save"]),
        save_failed=about.get("rdb_last_bgsave_status") == "err",
        append_failed=about.get("aof_last_write_status") == "err",
        stops_writes=told["stop-writes-on-bgsave-error"] == "yes" or None,
        least_replicas=_number(told["min-replicas-to-write"]),
    )


async def _info(redis: Redis) -> dict[str, Any]:
    try:
        return dict(await redis.info())
    except (AskError, ResponseError):
        return {}


async def _setting(redis: Redis, name: str) -> str:
    try:
        return str((await redis.config_get(name)).get(name) or "")
    except ResponseError:
        return ""


def _mode(about: dict[str, Any]) -> str:
    if about.get("cluster_enabled") == 1:
        return "cluster"
    return str(about.get("redis_mode") or about.get("server_mode") or "")  # Redis, Valkey


def _flag(value: Any) -> bool | None:
    return None if value is None else bool(value)


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None
