"""What `llamaq doctor` says: each thing that it judges, as it should be and as it should not."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from dispatcher.model_state import ModelState
from dispatcher.protocol import PROTOCOL
from dispatcher.redis_facts import RedisFacts
from dispatcher.sentinels import Told
from dispatcher.worker_state import WorkerState
from llamaq.doctor_facts import (
    Disk,
    Facts,
    OwnServer,
    Port,
    QueueLook,
    RedisLook,
    TokenRecord,
    TokensLook,
)
from llamaq.doctor_findings import findings
from llamaq.finding import Finding, State

DAY_S = 24 * 3600.0
GPU = WorkerState(
    "gpu-a1", "http://127.0.0.1:8080", "healthy", True, 4, 1, 8192, "b1", fingerprint="f"
)
REDIS = RedisLook(
    "redis://:***@host:6379/0",
    facts=RedisFacts(
        product="Valkey",
        version="9.1.2",
        policy="noeviction",
        max_bytes=2**30,
        used_bytes=2**20,
        appends=True,
        fsync="everysec",
        replicas=2,
        least_replicas=1,
    ),
    latency_ms=0.3,
)
WELL = Facts(
    "0.1.0",
    PROTOCOL,
    REDIS,
    QueueLook([ModelState("qwen", 0, (GPU,), 0, 0)], {"qwen": [PROTOCOL]}),
    [OwnServer("gpu-a1", "http://127.0.0.1:8080", True, True)],
    TokensLook(has_keys=True, records=[TokenRecord("ann", 30 * DAY_S, is_revoked=False)]),
    Disk("/data", True, True, 2**40),
    [Port("the API", "127.0.0.1:8484", "llamaq", is_expected=True)],
)
THREE = [Told(f"s{number}:1", ("h", 1), 0) for number in range(3)]


def redis(**changes: Any) -> Facts:
    return dataclasses.replace(WELL, redis=dataclasses.replace(REDIS, **changes))


def server(**changes: Any) -> Facts:
    facts = dataclasses.replace(REDIS.facts, **changes)
    return redis(facts=facts)


def worker(**changes: Any) -> Facts:
    return models(ModelState("qwen", 0, (dataclasses.replace(GPU, **changes),), 0, 0))


def models(*states: ModelState, protocols: Sequence[int] = (PROTOCOL,)) -> Facts:
    return dataclasses.replace(WELL, queue=QueueLook(states, {"qwen": protocols}))


def of(**changes: Any) -> Facts:
    return dataclasses.replace(WELL, **changes)


def behind(*told: Told) -> Facts:
    return redis(is_behind_sentinels=True, sentinels=told)


AWAY = Told("s9:1", problem="does not answer (refused)", has_answered=False)
TWIN = dataclasses.replace(GPU, id="gpu-b2", build="b2", fingerprint="g")


def test_all_is_well() -> None:
    found = findings(WELL)
    assert {each.state for each in found} == {State.OK}
    areas = [each.area for each in found]
    assert sorted(set(areas), key=areas.index) == [
        *("redis", "clock", "versions", "servers", "tokens", "disk", "ports")
    ]


@pytest.mark.parametrize(
    ("facts", "area", "state", "what"),
    [
        (redis(problem="it is away"), "redis", "wrong", "redis://:***@host:6379/0: it is away"),
        (server(policy="allkeys-lru"), "redis", "wrong", "evicts keys"),
        (server(product="Redis", version="5.0.1"), "redis", "wrong", "too old"),
        (server(appends=False), "redis", "warning", "nothing on disk"),
        (server(used_bytes=2**30), "redis", "warning", "100 % full"),
        (redis(refusal="Redis refuses work: MISCONF"), "redis", "wrong", "MISCONF"),
        (redis(latency_ms=80), "redis", "warning", "80 ms"),
        (behind(*THREE[:2], AWAY), "redis", "warning", "Sentinel s9:1 does not answer"),
        (behind(THREE[0], AWAY, AWAY), "redis", "wrong", "most Sentinels"),
        (behind(THREE[0]), "redis", "warning", "names 1 Sentinels"),
        (redis(ahead_s=5), "clock", "warning", "5.0 s ahead of Redis"),
        (redis(ahead_s=-90), "clock", "wrong", "90.0 s behind Redis"),
        (worker(protocol=1), "versions", "wrong", "gpu-a1 speaks protocol 1"),
        (models(protocols=[1, PROTOCOL]), "versions", "wrong", "an API of qwen speaks protocol 1"),
        (models(ModelState("qwen", 0, (GPU, TWIN), 0, 0)), "versions", "warning", "build"),
        (models(), "servers", "warning", "no worker has joined"),
        (models(ModelState("qwen", 9, (), 7, 1)), "servers", "wrong", "7 requests wait"),
        (models(ModelState("qwen", 9, (), 0, 0)), "servers", "warning", "nobody serves qwen"),
        (worker(health="down", reason="refused"), "servers", "wrong", "is down: refused"),
        (worker(health="misconfigured"), "servers", "wrong", "is misconfigured"),
        (worker(health="loading"), "servers", "warning", "is loading"),
        (worker(drained_s=1), "servers", "warning", "is drained by an operator"),
        (worker(breaker="open"), "servers", "warning", "breaker open"),
        (
            of(own_servers=[OwnServer("gpu-a1", "http://x", False)]),
            *("servers", "wrong", "nothing listens"),
        ),
        (
            of(own_servers=[OwnServer("gpu-a1", "http://x", True, False)]),
            *("servers", "warning", "without --parallel"),
        ),
        (of(tokens=TokensLook(problem="too short")), "tokens", "wrong", "too short"),
        (
            of(tokens=TokensLook(True, was_given=True, refusal="it has ended")),
            *("tokens", "wrong", "not believed: it has ended"),
        ),
        (
            of(tokens=TokensLook(True, "", [TokenRecord("ann", DAY_S * 3, is_revoked=False)])),
            *("tokens", "warning", "ann (3 d)"),
        ),
        (of(disk=Disk("/data", True, False, 2**40)), "disk", "wrong", "can't be written"),
        (of(disk=Disk("/data", True, True, 2**20)), "disk", "wrong", "0.0 GiB free"),
        (of(disk=Disk("/data", True, True, 2**29)), "disk", "warning", "0.5 GiB free"),
        (
            of(ports=[Port("the API", "127.0.0.1:8484", "another program")]),
            *("ports", "wrong", "another program listens"),
        ),
        (
            of(ports=[Port("Redis", "127.0.0.1:6379", "", is_expected=True)]),
            *("ports", "wrong", "should answer"),
        ),
    ],
)
def test_what_is_not_well_is_told_with_what_to_do(
    facts: Facts, area: str, state: str, what: str
) -> None:
    told = [each for each in findings(facts) if each.state is not State.OK]
    [found] = [each for each in told if what in each.what]
    assert (found.area, found.state) == (area, state)
    assert found.advice or not facts.redis.advice


@pytest.mark.parametrize(
    ("facts", "what"),
    [
        (of(tokens=TokensLook()), "only the machine of an API"),
        (of(tokens=TokensLook(True, was_given=True)), "the token is believed"),
        (
            of(tokens=TokensLook(True, "", [TokenRecord("ann", DAY_S, is_revoked=True)])),
            "0 of llamaq token create are valid, 1 are revoked",
        ),
        (of(disk=Disk("/data")), "no `llamaq up` has been here"),
        (of(ports=[Port("the API", "127.0.0.1:8484", "")]), "does not run here"),
        (of(queue=QueueLook(is_hidden=True)), "was invited"),
        (behind(*THREE), "Valkey 9.1.2"),
        (worker(health="draining"), "1 worker at rest"),
        (worker(paused_until_s=2**40), "1 worker at rest"),
        (worker(server="", health="unloaded"), "1 worker at rest"),
    ],
)
def test_what_is_well_though_it_is_not_usual_is_no_warning(facts: Facts, what: str) -> None:
    found = findings(facts)
    assert {each.state for each in found} == {State.OK}
    assert any(what in each.what for each in found)


def test_eviction_that_is_allowed_is_a_warning() -> None:
    allowed = dataclasses.replace(server(policy="allkeys-lru").redis, allows_eviction=True)
    [found] = [each for each in findings(of(redis=allowed)) if each.state is not State.OK]
    assert (found.state, found.area) == (State.WARNING, "redis")


def test_without_redis_nothing_is_said_of_the_queue() -> None:
    found: list[Finding] = findings(redis(problem="it is away"))
    assert {each.area for each in found} == {"redis", "tokens", "disk", "ports"}
