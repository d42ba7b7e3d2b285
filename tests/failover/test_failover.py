"""The primary of a Redis behind Sentinels changes while APIs and bridges work with it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.chaos.clients import End, Manner
from tests.failover.fleet import Trial

pytestmark = pytest.mark.real

BOTH = Manner.STREAM, Manner.WHOLE


@pytest.fixture(scope="module")
async def trial(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Trial]:
    async with Trial(tmp_path_factory.mktemp("failover"), workers=1).running() as trial:
        yield trial


async def test_accepted_requests_are_whole_when_the_primary_is_killed_and_its_last_writes_are_lost(
    trial: Trial,
) -> None:
    old = trial.redis.primary()
    with trial.redis.replicas_behind():
        trial.ask(*BOTH * 2, tokens=60)
        await trial.until_all_are_there()
        await asyncio.sleep(0.3)  # some words have come
        trial.redis.kill(old)
        await asyncio.to_thread(trial.redis.until_other_primary, old)
    answers = await trial.answers()
    assert {asked.end for asked in answers} == {End.COMPLETE}
    assert {asked.id for asked in answers} <= trial.queued_again()
    assert [*trial.wrong(), *await trial.left_behind()] == []


async def test_accepted_requests_are_whole_when_the_sentinels_make_another_server_the_primary(
    trial: Trial,
) -> None:
    old = trial.redis.primary()
    trial.ask(*BOTH * 2, tokens=60)
    await trial.until_all_are_there()
    await asyncio.sleep(0.3)
    await asyncio.to_thread(trial.redis.fail_over)
    trial.ask(Manner.WHOLE, tokens=10)
    await asyncio.to_thread(trial.redis.until_other_primary, old, by_order=True)
    *accepted, late = await trial.answers()
    assert {asked.end for asked in accepted} == {End.COMPLETE}
    assert (late.end, late.code) in {(End.COMPLETE, ""), (End.ERROR, "redis_unavailable")}
    assert trial.wrong() == []
    told = (
        await asyncio.to_thread(trial.say, "status"),
        await asyncio.to_thread(trial.say, "doctor"),
    )
    assert "bridge1-" in told[0]
    assert "tiny: 1 worker fit for work" in told[1]
    assert "redis+sentinel://:***@" in told[1]
