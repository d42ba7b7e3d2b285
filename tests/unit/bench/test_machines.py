"""Servers keep what fits into their prompt cache, and lose all of it when they die."""

import pytest

from bench.simulate.machines import Machine, PromptCache, machines
from bench.simulate.words import Job, Tenant, TenantClass, WorkerClass

KIND = WorkerClass("w", 2, 1, 1000, 100)
ANN = Tenant("ann", TenantClass("ann", 1))


def job(conversation: int = 0, known: int = 0, prompt: int = 100) -> Job:
    return Job(1, ANN, prompt, 50, 50, conversation, known_tokens=known)


@pytest.fixture
def machine() -> Machine:
    return machines((KIND,), cache_tokens=400)[0]


def test_fleet_has_all_workers_by_name() -> None:
    assert [machine.name for machine in machines((KIND,), 0)] == ["w0", "w1"]


def test_next_turn_evaluates_only_what_is_new(machine: Machine) -> None:
    first = machine.begin(1, job(), 0)
    machine.end(first)
    second = machine.begin(2, job(known=150, prompt=200), 0)
    assert (first.cached_tokens, second.cached_tokens) == (0, 150)
    assert machine.service_ms(first) == 600
    assert machine.service_ms(second) == 550


def test_conversation_that_was_used_least_lately_is_dropped() -> None:
    cache = PromptCache(400)
    for conversation in (1, 2, 1, 3):
        cache.keep(job(conversation))
    known = [cache.cached(job(conversation, known=100)) for conversation in (1, 2, 3)]
    assert known == [100, 0, 100]


def test_prompt_that_does_not_fit_is_not_kept() -> None:
    cache = PromptCache(100)
    cache.keep(job())
    assert cache.cached(job(known=100)) == 0


def test_server_that_dies_has_lost_its_jobs_and_cache(machine: Machine) -> None:
    machine.end(machine.begin(1, job(1), 0))
    run = machine.begin(2, job(2), 0)
    assert machine.fail() == [run]
    assert machine.free == 0
    machine.up = True
    assert machine.free == 1
    assert machine.begin(3, job(1, known=150), 0).cached_tokens == 0


def test_full_worker_takes_no_job(machine: Machine) -> None:
    machine.begin(1, job(), 0)
    with pytest.raises(RuntimeError):
        machine.begin(2, job(), 0)
