"""Single faults at the worst moment, on one small fleet."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest

from tests.chaos.clients import End, Manner
from tests.chaos.faults import KINDS
from tests.chaos.stage import Stage

pytestmark = pytest.mark.real

BOTH = Manner.STREAM, Manner.WHOLE
# Each takes no longer than half a lease.
SHORT_OUTAGES = {
    "redis_killed": "redis",
    "redis_stopped": "redis",
    "redis_loading": "redis",
    "replica": "redis",  # READONLY and UNBLOCKED
    "out_of_memory": "redis",
    "debug_sleep": "redis",
    "client_kill": "redis",
    "script_flush": "redis",
    "clock_forward": "redis",
    "clock_back": "redis",
    "bridge_replies_lost": "bridge1-redis",
    "api_replies_lost": "api1-redis",
    "half_open": "bridge2-redis",
    "cut": "api1-redis",
}


@pytest.fixture(scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with Stage(tmp_path_factory.mktemp("stage")).running() as stage:
        yield stage


@pytest.fixture
async def stage(fleet: Stage) -> AsyncIterator[Stage]:
    async with fleet.scene():
        yield fleet


async def test_no_accepted_request_fails_when_redis_is_killed_and_comes_back_after_five_seconds(
    stage: Stage,
) -> None:
    stage.ask(*BOTH * 3)
    await stage.until_running("bridge1", 2)
    await stage.until_queued(2)
    await asyncio.sleep(0.5)  # some words have come
    async with KINDS["redis_killed"].act(stage.fleet, "redis"):
        await asyncio.sleep(5)
    assert {asked.end for asked in await stage.answers()} == {End.COMPLETE}


async def test_short_outages_cost_no_accepted_request_anything_and_new_ones_a_moment(
    stage: Stage,
) -> None:
    for kind, target in SHORT_OUTAGES.items():
        stage.ask(*BOTH * 2, tokens=60)
        await asyncio.sleep(0.5)
        async with KINDS[kind].act(stage.fleet, target):
            stage.ask(Manner.WHOLE, tokens=10)
            await asyncio.sleep(0.7)
        await asyncio.sleep(0.3)
    answers = await stage.answers()
    failed = [asked for asked in answers if asked.end is not End.COMPLETE]
    assert {(asked.status, asked.code) for asked in failed} <= {(503, "redis_unavailable")}, failed
    assert len(failed) < len(answers) / 2


async def test_what_an_emptied_redis_has_lost_is_done_all_the_same(stage: Stage) -> None:
    stage.ask(*BOTH * 3)
    await stage.until_queued(2)
    await asyncio.sleep(0.5)
    async with KINDS["redis_emptied"].act(stage.fleet, "redis"):
        await asyncio.sleep(1)
    assert {asked.end for asked in await stage.answers()} == {End.COMPLETE}


@pytest.mark.parametrize(
    ("kind", "target", "for_s"),
    [("bridge_stopped", "bridge1", 30), ("half_open", "bridge1-redis", 10)],
)
async def test_bridge_that_was_away_for_longer_than_its_lease_is_refused_when_it_is_back(
    stage: Stage, kind: str, target: str, for_s: float
) -> None:
    stage.ask(*BOTH * 2)
    await stage.until_running("bridge1", 2)
    await asyncio.sleep(0.5)
    async with KINDS[kind].act(stage.fleet, target):
        answers, _ = await asyncio.gather(stage.answers(), asyncio.sleep(for_s))
    await stage.fleet.until_ready()
    assert "fenced worker=bridge1" in stage.log("bridge1")
    assert {asked.end for asked in answers} == {End.COMPLETE}


async def test_jobs_of_a_killed_bridge_go_on_elsewhere(
    stage: Stage,
) -> None:
    stage.ask(*BOTH * 2)
    await stage.until_running("bridge1", 2)
    await asyncio.sleep(0.5)
    async with KINDS["bridge_killed"].act(stage.fleet, "bridge1"):
        answers = await stage.answers()
    assert {asked.end for asked in answers} == {End.COMPLETE}


@contextmanager
def slowly(stage: Stage) -> Iterator[None]:
    """Answers take three times as long."""
    links = [link for link in stage.fleet.links.values() if link.pace]
    for link in links:
        link.pace /= 3
    yield
    for link in links:
        link.pace *= 3


async def test_jobs_of_a_killed_api_are_stopped_and_those_that_waited_never_run(
    stage: Stage,
) -> None:
    with slowly(stage):  # none may end before the lease does, which would free its slot
        stage.ask(*BOTH * 3)
        await stage.until_all_are_there(queued=2)
        async with KINDS["api_killed"].act(stage.fleet, "api1"):
            assert {asked.end for asked in await stage.answers()} == {End.BROKEN}
            await asyncio.sleep(6)  # its lease runs out
            rows = await stage.jobs()
    waited = [row for row in rows if b"accepted" not in row]
    assert [row[b"state"] for row in waited] == [b"abandoned"] * 2
    assert b"running" not in {row[b"state"] for row in rows}


async def test_claim_that_a_restored_redis_has_forgotten_mixes_no_tokens(stage: Stage) -> None:
    """Two workers, both registered in its eyes, run the same jobs at the same time."""
    first, second, redis = (stage.fleet.parts[name] for name in ("bridge1", "bridge2", "redis"))
    first.signal(signal.SIGSTOP)
    second.signal(signal.SIGSTOP)
    stage.ask(Manner.WHOLE, Manner.STREAM)
    await stage.until_queued(2)
    before_the_claim = stage.fleet.copy_redis_data()
    first.signal(signal.SIGCONT)
    await stage.until_running("bridge1", 2)
    await asyncio.sleep(0.5)
    first.signal(signal.SIGSTOP)
    redis.kill()
    stage.fleet.replace_redis_data(before_the_claim)
    redis.start()
    second.signal(signal.SIGCONT)
    await stage.until_running("bridge2", 2)
    first.signal(signal.SIGCONT)
    assert {asked.end for asked in await stage.answers()} == {End.COMPLETE}
    assert "stopped=fenced" in stage.log("bridge1")
    assert "fenced worker=" not in stage.log("bridge1")  # registered all the time


async def test_bridge_that_still_has_the_old_master_is_refused_by_the_new_one(
    stage: Stage,
) -> None:
    """Both run its jobs, and only one is heard."""
    stage.ask(*BOTH * 2)
    await stage.until_running("bridge1", 2)
    await asyncio.sleep(0.5)
    async with stage.fleet.old_master("bridge1"):
        answers = await stage.answers()
    await stage.fleet.until_ready()
    assert {asked.end for asked in answers} == {End.COMPLETE}
    assert "fenced worker=bridge1" in stage.log("bridge1")


async def test_api_that_is_cut_off_for_longer_than_its_lease_begins_again_what_it_has_not_heard(
    stage: Stage,
) -> None:
    stage.ask(*BOTH * 2)
    await stage.until_running("bridge1", 2)
    async with KINDS["cut"].act(stage.fleet, "api1-redis"):
        await asyncio.sleep(0.5)
        stage.ask(*BOTH)
        await asyncio.sleep(6)
    answers = await stage.answers()
    assert {asked.end for asked in answers[:4]} == {End.COMPLETE}
    assert {(asked.status, asked.code) for asked in answers[4:]} == {(503, "redis_unavailable")}
