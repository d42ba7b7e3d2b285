"""What a process says of the Redis that it is told of: each thing that it refuses or warns of."""

import re
from dataclasses import replace

import pytest

from dispatcher.redis_advice import refusal, warnings
from dispatcher.redis_facts import RedisFacts

GOOD = RedisFacts(
    product="Valkey",
    version="9.1.2",
    mode="standalone",
    replicas=2,
    policy="noeviction",
    max_bytes=2**30,
    appends=True,
    fsync="everysec",
    snapshots=False,
    least_replicas=1,
)
HIDES_ALL = RedisFacts()
HIDES_CONFIG = replace(GOOD, fsync="", snapshots=None, stops_writes=None, least_replicas=None)


@pytest.mark.parametrize("facts", [GOOD, HIDES_ALL, HIDES_CONFIG])
def test_server_in_order_and_one_that_hides_itself_pass_in_silence(facts: RedisFacts) -> None:
    assert refusal(facts, may_evict=False) is None
    assert warnings(replace(facts, replicas=2), behind_sentinels=True) == []


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        (replace(GOOD, mode="cluster"), "Redis Cluster is not supported"),
        (replace(GOOD, mode="sentinel"), "names a Sentinel"),
        (replace(GOOD, product="Redis", version="6.0.16"), "6.0.16 is too old"),
        (replace(GOOD, product="Redis", version="5.0.7"), "5.0.7 is too old"),
        (replace(GOOD, policy="allkeys-lru"), "maxmemory-policy allkeys-lru"),
    ],
)
def test_server_that_can_not_hold_the_queue_is_refused(facts: RedisFacts, problem: str) -> None:
    assert problem in str(refusal(facts, may_evict=False))


@pytest.mark.parametrize("version", ["6.2.0", "7.4.1", "10.0.0", "8.0.0-rc1", "unknown", ""])
def test_newer_server_and_one_of_which_nothing_is_known_pass(version: str) -> None:
    assert refusal(replace(GOOD, product="Redis", version=version), may_evict=False) is None


@pytest.mark.parametrize(
    ("facts", "advice"),
    [
        (replace(GOOD, is_replica=True), "is a replica.*name its primary"),
        (replace(GOOD, appends=False, snapshots=False), "nothing on disk.*SET appendonly yes"),
        (replace(GOOD, appends=False, snapshots=True), "snapshots only.*SET appendonly yes"),
        (replace(GOOD, fsync="no"), "appendfsync no.*SET appendfsync everysec"),
        (replace(GOOD, fsync="always"), "appendfsync always.*SET appendfsync everysec"),
        (replace(GOOD, append_failed=True), "append-only file.*make room on its disk"),
        (replace(GOOD, save_failed=True, stops_writes=True), "and refuses requests.*make room"),
        (replace(GOOD, save_failed=True, stops_writes=None), "last snapshot. Make room"),
        (replace(GOOD, max_bytes=0), "maxmemory 0.*SET maxmemory"),
        (replace(GOOD, used_bytes=2**30), "100 % full.*LLAMAQ_MAX_QUEUE_BYTES"),
        (replace(GOOD, replicas=0), "No replica follows.*--replicaof"),
        (replace(GOOD, least_replicas=0), "min-replicas-to-write 0.*SET min-replicas-to-write 1"),
    ],
)
def test_what_may_go_wrong_is_told_with_one_advice(facts: RedisFacts, advice: str) -> None:
    [told] = warnings(facts, behind_sentinels=True)
    assert re.search(advice, str(told), re.IGNORECASE)


def test_replicas_matter_only_behind_sentinels() -> None:
    assert warnings(replace(GOOD, replicas=0, least_replicas=0), behind_sentinels=False) == []
