"""What is wrong with a Redis for holding the queue, and what its operator does about it. Pure."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from dispatcher.redis_facts import RedisFacts

_OLDEST = (6, 2)
_FULL_PART = 0.9


class Remark(NamedTuple):
    """What is wrong, without a full stop, and what to do, in whole sentences."""

    what: str
    advice: str

    def __str__(self) -> str:
        return f"{self.what}. {self.advice}"


CLUSTER = Remark(
    "Redis Cluster is not supported",
    "Set LLAMAQ_REDIS_URL to a Redis or Valkey server that runs with cluster-enabled no.",
)
SENTINEL = Remark(
    "LLAMAQ_REDIS_URL names a Sentinel, which holds no data",
    "Write redis+sentinel://HOST:26379,HOST2:26379/NAME/0 in its place, with the NAME of the "
    "primary.",
)


def refusal(facts: RedisFacts, *, may_evict: bool) -> Remark | None:
    """Why such a server can't hold the queue; None where it can.

    >>> print(refusal(RedisFacts(version="6.0.16"), may_evict=False))
    Redis 6.0.16 is too old. Install Redis ≥ 6.2 or Valkey ≥ 8.
    """
    if facts.mode == "sentinel":
        return SENTINEL
    if facts.mode == "cluster":
        return CLUSTER
    if _is_too_old(facts):
        title = f"{facts.product} {facts.version}"
        return Remark(f"{title} is too old", "Install Redis ≥ 6.2 or Valkey ≥ 8.")
    return None if may_evict else eviction(facts)


def eviction(facts: RedisFacts) -> Remark | None:
    """That this server throws keys away; None where it doesn't."""
    if facts.policy in ("", "noeviction"):
        return None
    return Remark(
        f"Redis evicts keys when its memory is full (maxmemory-policy {facts.policy}), which loses "
        "requests",
        "Run: CONFIG SET maxmemory-policy noeviction, and write it into its configuration. "
        "LLAMAQ_ALLOW_EVICTION=1 starts all the same.",
    )


def warnings(facts: RedisFacts, *, behind_sentinels: bool) -> list[Remark]:
    """What may cost requests or data one day."""
    found = [*_of_role(facts), *_of_disk(facts), *_of_memory(facts)]
    return [*found, *_of_replicas(facts)] if behind_sentinels and not facts.is_replica else found


def _is_too_old(facts: RedisFacts) -> bool:
    match = re.match(r"(\d+)\.(\d+)", facts.version)
    return match is not None and (int(match[1]), int(match[2])) < _OLDEST


def _of_role(facts: RedisFacts) -> Iterator[Remark]:
    if facts.is_replica:
        yield Remark(
            "Redis is a replica, which takes no requests",
            "Name its primary in LLAMAQ_REDIS_URL, or its Sentinels as "
            "redis+sentinel://HOST:26379,HOST2:26379/NAME/0.",
        )


def _of_disk(facts: RedisFacts) -> Iterator[Remark]:
    if facts.appends is False:
        kept = "keeps snapshots only" if facts.snapshots else "keeps nothing on disk"
        yield Remark(
            f"Redis {kept} (appendonly no), so a restart of it loses limits, revoked tokens, usage "
            "and waiting requests",
            "Run: CONFIG SET appendonly yes, and CONFIG REWRITE.",
        )
    elif facts.appends and facts.fsync == "no":
        yield Remark(
            "Redis leaves it to the system when its data reaches the disk (appendfsync no), so a "
            "crash of the machine loses half a minute",
            _EACH_SECOND,
        )
    elif facts.appends and facts.fsync == "always":
        yield Remark(
            "Redis waits for the disk at each command (appendfsync always), and so does each "
            "request",
            _EACH_SECOND,
        )
    if facts.append_failed:
        yield Remark(
            "Redis could not write to its append-only file, and refuses requests until it can",
            _LOOK_AT_DISK,
        )
    if facts.save_failed:
        follows = ", and refuses requests until it can" if facts.stops_writes else ""
        yield Remark(f"Redis could not save its last snapshot{follows}", _LOOK_AT_DISK)


_EACH_SECOND = "Run: CONFIG SET appendfsync everysec, and CONFIG REWRITE."
_LOOK_AT_DISK = "Make room on its disk, and look into its log."


def _of_memory(facts: RedisFacts) -> Iterator[Remark]:
    if facts.max_bytes == 0:
        yield Remark(
            "Redis may take all memory of its machine (maxmemory 0), until the system kills it",
            "Run: CONFIG SET maxmemory 1gb, or what it may have, and CONFIG REWRITE.",
        )
    elif facts.max_bytes and facts.used_bytes > _FULL_PART * facts.max_bytes:
        part = round(100 * facts.used_bytes / facts.max_bytes)
        yield Remark(
            f"The memory of Redis is {part} % full, and at 100 % new requests get 503",
            "Give it more (CONFIG SET maxmemory), or let less wait (LLAMAQ_MAX_QUEUE_BYTES).",
        )


def _of_replicas(facts: RedisFacts) -> Iterator[Remark]:
    if facts.replicas == 0:
        yield Remark(
            "No replica follows the primary, so its Sentinels have none to put in its place",
            "Start one: valkey-server --replicaof HOST PORT.",
        )
    if facts.least_replicas == 0:
        yield Remark(
            "A primary that is cut off from its replicas goes on to take requests, which are lost "
            "later (min-replicas-to-write 0)",
            "With two replicas or more, run on all servers: CONFIG SET min-replicas-to-write 1.",
        )
