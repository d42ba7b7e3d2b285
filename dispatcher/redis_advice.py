"""What is wrong with a Redis for holding the queue, and what its operator does about it. Pure."""

import re
from collections.abc import Iterator

from dispatcher.redis_facts import RedisFacts

OLDEST = (6, 2)
CLUSTER = (
    "Redis Cluster is not supported: set LLAMAQ_REDIS_URL to a Redis or Valkey server that runs "
    "with cluster-enabled no."
)
SENTINEL = (
    "LLAMAQ_REDIS_URL names a Sentinel, which holds no data: write "
    "redis+sentinel://HOST:26379,HOST2:26379/NAME/0 in its place, with the NAME of the primary."
)
_FULL_PART = 0.9


def refusal(facts: RedisFacts, *, may_evict: bool) -> str:
    """Why such a server can't hold the queue; empty where it can.

    >>> refusal(RedisFacts(version="6.0.16", policy="noeviction"), may_evict=False)[:52]
    'Redis 6.0.16 is too old: llamaq needs Redis ≥ 6.2 or'
    """
    if facts.mode == "sentinel":
        return SENTINEL
    if facts.mode == "cluster":
        return CLUSTER
    if _is_too_old(facts):
        return (
            f"{facts.product} {facts.version} is too old: llamaq needs Redis ≥ 6.2 or Valkey ≥ 8. "
            "Install a newer one."
        )
    return "" if may_evict else eviction(facts)


def eviction(facts: RedisFacts) -> str:
    """That this server throws keys away; empty where it doesn't."""
    if facts.policy in ("", "noeviction"):
        return ""
    return (
        f"Redis evicts keys when its memory is full (maxmemory-policy {facts.policy}), which loses "
        "requests. Run: CONFIG SET maxmemory-policy noeviction, and write it into its "
        "configuration. LLAMAQ_ALLOW_EVICTION=1 starts all the same."
    )


def warnings(facts: RedisFacts, *, behind_sentinels: bool) -> list[str]:
    """What may cost requests or data one day, each with what to do now.

    >>> warnings(RedisFacts(appends=True, fsync="no", max_bytes=1), behind_sentinels=False)[0][-37:]
    'Run: CONFIG SET appendfsync everysec.'
    """
    found = [*_of_role(facts), *_of_disk(facts), *_of_memory(facts)]
    return [*found, *_of_replicas(facts)] if behind_sentinels and not facts.is_replica else found


def _is_too_old(facts: RedisFacts) -> bool:
    match = re.match(r"(\d+)\.(\d+)", facts.version)
    return match is not None and (int(match[1]), int(match[2])) < OLDEST


def _of_role(facts: RedisFacts) -> Iterator[str]:
    if facts.is_replica:
        yield (
            "Redis is a replica, which takes no requests: name its primary in LLAMAQ_REDIS_URL, or "
            "its Sentinels as redis+sentinel://HOST:26379,HOST2:26379/NAME/0."
        )


def _of_disk(facts: RedisFacts) -> Iterator[str]:
    if facts.appends is False:
        kept = "keeps snapshots only" if facts.snapshots else "keeps nothing on disk"
        yield (
            f"Redis {kept} (appendonly no), so a restart of it loses limits, revoked tokens, usage "
            "and waiting requests. Run: CONFIG SET appendonly yes, and CONFIG REWRITE."
        )
    elif facts.appends and facts.fsync == "no":
        yield (
            "Redis leaves it to the system when its data reaches the disk (appendfsync no), so a "
            "crash of the machine loses half a minute. Run: CONFIG SET appendfsync everysec."
        )
    elif facts.appends and facts.fsync == "always":
        yield (
            "Redis waits for the disk at each command (appendfsync always), and so does each "
            "request. Run: CONFIG SET appendfsync everysec, unless you need it."
        )
    if facts.append_failed:
        yield (
            "Redis could not write to its append-only file, and refuses requests until it can: "
            "make room on its disk, and look into its log."
        )
    if facts.save_failed:
        follows = ", and refuses requests until it can" if facts.stops_writes else ""
        yield (
            f"Redis could not save its last snapshot{follows}: make room on its disk, and look "
            "into its log. With appendonly yes it needs none: CONFIG SET save ''."
        )


def _of_memory(facts: RedisFacts) -> Iterator[str]:
    if facts.max_bytes == 0:
        yield (
            "Redis may take all memory of its machine (maxmemory 0), until the system kills it. "
            "Run: CONFIG SET maxmemory 1gb, or what it may have, and CONFIG REWRITE."
        )
    elif facts.max_bytes and facts.used_bytes > _FULL_PART * facts.max_bytes:
        part = round(100 * facts.used_bytes / facts.max_bytes)
        yield (
            f"The memory of Redis is {part} % full, and at 100 % new requests get 503. Give it "
            "more (CONFIG SET maxmemory), or let less wait (LLAMAQ_MAX_QUEUE_BYTES)."
        )


def _of_replicas(facts: RedisFacts) -> Iterator[str]:
    if facts.replicas == 0:
        yield (
            "No replica follows the primary, so its Sentinels have none to put in its place. "
            "Start one: valkey-server --replicaof HOST PORT."
        )
    if facts.least_replicas == 0:
        yield (
            "A primary that is cut off from its replicas goes on to take requests, which are lost "
            "later (min-replicas-to-write 0). With two replicas or more, run on all servers: "
            "CONFIG SET min-replicas-to-write 1."
        )
