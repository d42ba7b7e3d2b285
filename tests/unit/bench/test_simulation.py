"""Runs are the same again, serve every job once, and wait as queueing theory says."""

from math import factorial

import pytest

from bench.simulate.arrivals import read_arrivals
from bench.simulate.metrics import latencies_ms, waits_ms
from bench.simulate.policies import POLICIES
from bench.simulate.policies.adapter import Times
from bench.simulate.simulation import Failures, Fleet, Outcome, simulate
from bench.simulate.sizes import read_sizes
from bench.simulate.words import TenantClass, WorkerClass
from bench.simulate.workload import Demand, Generated
from dispatcher.tier import Tier

MIXED = (WorkerClass("fast", 2, 4, 4000, 100), WorkerClass("slow", 1, 4, 1000, 25))
ONE = (TenantClass("all", 1),)
TENANTS = (TenantClass("pro", 3, 1, Tier.PRIORITY, 2), TenantClass("team", 5, 2))
NO_TIME = Times(claim_ms=0, push_ms=0)


def demand(arrivals: str, completion: str = "uniform:20:180", **more: object) -> Demand:
    sizes = {
        "prompt": read_sizes("10"),
        "completion": read_sizes(completion),
        "turns": read_sizes("1"),
        "think_s": read_sizes("0"),
    }
    return Demand(**{"tenants": TENANTS, "arrivals": read_arrivals(arrivals), **sizes, **more})


def run(policy: str, asked: Demand, fleet: Fleet, jobs: int, seed: int = 1) -> Outcome:
    workload = Generated(asked, fleet.kinds, jobs, seed)
    return simulate(fleet, workload, POLICIES[policy], seed)


CHATS = demand("load:0.9", turns=read_sizes("exponential:3"), think_s=read_sizes("1"))
FRAIL = Fleet(MIXED, cache_tokens=2000, failures=Failures(every_s=20, repair_s=3))


@pytest.mark.parametrize("policy", POLICIES)
def test_same_seed_same_run(policy: str) -> None:
    first, second = (run(policy, CHATS, FRAIL, 300) for _ in range(2))
    assert first == second
    assert first.records != run(policy, CHATS, FRAIL, 300, seed=2).records


@pytest.mark.parametrize("arrivals", ["load:0.9", "closed:24", "bursts:50:3"])
@pytest.mark.parametrize("policy", POLICIES)
def test_every_job_is_served_once_whatever_fails(policy: str, arrivals: str) -> None:
    asked = demand(arrivals, turns=read_sizes("exponential:3"), think_s=read_sizes("1"))
    outcome = run(policy, asked, FRAIL, 400)
    assert sorted(record.job for record in outcome.records) == list(range(1, 401))
    assert outcome.lost > 0
    assert sum(record.attempts - 1 for record in outcome.records) == outcome.lost


@pytest.mark.parametrize("policy", POLICIES)
def test_no_slot_does_two_jobs_at_once(policy: str) -> None:
    records = run(policy, demand("closed:24"), Fleet(MIXED), 240).records
    for moment in {record.started_ms for record in records}:
        busy = [r.worker for r in records if r.started_ms <= moment < r.finished_ms]
        assert max(map(busy.count, busy)) <= 4


@pytest.mark.parametrize("policy", POLICIES)
def test_all_policies_get_the_same_jobs(policy: str) -> None:
    def sizes(name: str) -> set[tuple[str, int, int]]:
        records = run(name, CHATS, Fleet(MIXED), 300).records
        return {(r.tenant, r.prompt_tokens, r.completion_tokens) for r in records}

    assert sizes(policy) == sizes("fifo-pull")


def erlang_c(servers: int, offered: float) -> float:
    """The probability to wait in M/M/c."""
    full = offered**servers / factorial(servers) * servers / (servers - offered)
    return full / (sum(offered**n / factorial(n) for n in range(servers)) + full)


@pytest.mark.parametrize(("servers", "load"), [(1, 0.5), (8, 0.7)])
def test_one_queue_waits_as_erlang_says(servers: int, load: float) -> None:
    fleet = Fleet((WorkerClass("server", servers, 1, 1e9, 1000),), times=NO_TIME)
    asked = demand(f"load:{load}", "exponential:1000", tenants=ONE)
    runs = [run("fifo-pull", asked, fleet, 10_000, seed) for seed in range(6)]
    waits = waits_ms(record for outcome in runs for record in outcome.records)
    expected = erlang_c(servers, servers * load) * 1000 / (servers * (1 - load))
    assert waits.mean == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("policy", ["least-connections", "llamaq"])
def test_who_has_one_queue_for_equal_workers_and_one_tenant_waits_the_same(policy: str) -> None:
    fleet = Fleet((WorkerClass("server", 8, 1, 1e9, 1000),), times=NO_TIME)
    asked = demand("load:0.9", "exponential:1000", tenants=ONE)
    waits = [waits_ms(run(name, asked, fleet, 2000).records).mean for name in ("fifo-pull", policy)]
    assert waits[0] == pytest.approx(waits[1])


def test_round_robin_to_single_servers_waits_longer_than_one_queue() -> None:
    fleet = Fleet((WorkerClass("server", 8, 1, 1e9, 1000),), times=NO_TIME)
    asked = demand("load:0.9", "exponential:1000", tenants=ONE)
    waits = {
        name: waits_ms(run(name, asked, fleet, 10_000).records).mean
        for name in ("round-robin", "fifo-pull")
    }
    assert waits["round-robin"] > 3 * waits["fifo-pull"]


def test_speed_aware_pull_keeps_large_jobs_off_the_slow_worker() -> None:
    latency = {
        name: latencies_ms(run(name, demand("load:0.5"), Fleet(MIXED), 2000).records).p99
        for name in ("llamaq", "least-connections")
    }
    assert latency["llamaq"] < 0.6 * latency["least-connections"]


def test_equal_workers_never_leave_jobs() -> None:
    fleet = Fleet((WorkerClass("fast", 3, 4, 4000, 100),), times=Times(misjudged=0.1))
    asked = demand("load:0.8")
    assert run("llamaq", asked, fleet, 2000) == run("llamaq-eager", asked, fleet, 2000)


def test_conversations_find_their_cache() -> None:
    fleet = Fleet(MIXED, cache_tokens=100_000)
    asked = demand("load:0.2", turns=read_sizes("5"), think_s=read_sizes("2"))
    cached = {
        name: sum(record.cached_tokens for record in run(name, asked, fleet, 500).records)
        for name in ("llamaq", "fifo-pull")
    }
    assert cached["llamaq"] > 1.5 * cached["fifo-pull"]
