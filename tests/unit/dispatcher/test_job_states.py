"""A job goes through the states of docs/job-states.md, and through no others."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from testing.desk import Desk
from testing.queued_jobs import DEADLINE_MS

PAGE = Path(__file__).parents[3] / "docs" / "job-states.md"
FAR_MS = 9_999_999_999_999
START = "[*]"

Step = Callable[["Watched"], Awaitable[Any]]


class Watched(Desk):
    """A desk whose first job is `j`, and the id of its last attempt."""

    attempt_id = ""


async def submit(desk: Watched) -> None:
    await desk.enqueue("j", supersedes="tab")


async def claim(desk: Watched) -> None:
    desk.attempt_id = await desk.take()


async def show(desk: Watched) -> None:
    await desk.emit(desk.attempt_id)


async def give_back(desk: Watched) -> None:
    await desk.release(desk.attempt_id)


async def crash(desk: Watched) -> None:
    await desk.release(desk.attempt_id, crashed=1)


async def go_on(desk: Watched) -> None:
    assert (await desk.resume(desk.attempt_id))[0] == b"OK"


async def cancel(desk: Watched) -> None:
    await desk.cancel("j")


async def forget_api(desk: Watched) -> None:
    await desk.redis.zadd(desk.keys.named("apis"), {"a": 1})
    await desk.reap_after(1000)


async def pass_deadline(desk: Watched) -> None:
    await desk.reap_after(DEADLINE_MS + 1000)


async def forget_attempt(desk: Watched) -> None:
    await desk.redis.zrem(desk.keys.named("running", "w"), desk.attempt_id)


async def supersede(desk: Watched) -> None:
    await desk.enqueue("newer", supersedes="tab")


async def submit_without_tokens(desk: Watched) -> None:
    await desk.enqueue("j", quota=f"{FAR_MS} 2026-11-27 0 -")


async def try_to_claim(desk: Watched) -> None:
    await desk.claim()


async def damage(desk: Watched) -> None:
    await desk.redis.hset(desk.keys.named("job", "j"), "deadline_ms", "soon")
    await desk.claim()


def finish(state: str) -> Step:
    async def step(desk: Watched) -> None:
        assert await desk.finish(desk.attempt_id, state=state) == "OK"

    return step


async def drop(desk: Watched) -> None:
    """A newer tenant gets the place of the newest of the one with most."""
    await desk.enqueue("bob's", tenant="bob", bounds=(2, 2**20))


async def submit_two(desk: Watched) -> None:
    await desk.enqueue("older")
    await desk.enqueue("j")


LOSE: list[Step] = [submit, claim, show, give_back]
WAYS: list[list[Step]] = [
    [submit, claim, give_back],
    [*LOSE, go_on],
    [*LOSE, cancel],
    [*LOSE, pass_deadline],
    *([submit, claim, finish(state)] for state in ("done", "rejected", "failed", "cancelled")),
    [submit, claim, crash, claim, crash],
    [submit, claim, forget_attempt, pass_deadline],
    [submit, claim, forget_api, give_back],
    [submit, cancel],
    [submit, pass_deadline],
    [submit, supersede],
    [submit_two, drop],
    [submit_without_tokens, try_to_claim],
    [submit, forget_api, try_to_claim],
    [submit, damage],
]


def drawn() -> set[tuple[str, str]]:
    """The ways of the picture, without those to its end."""
    ways = re.findall(r"^ +(\S+) --> ([\w\[\]*]+)", PAGE.read_text(), re.MULTILINE)
    return {(before, after) for before, after in ways if after != START}


async def gone(desk: Watched, steps: list[Step]) -> set[tuple[str, str]]:
    """The ways that the job went."""
    found, before = set(), START
    for step in steps:
        await step(desk)
        after = await desk.state("j")
        if after != before:
            found.add((before, after))
        before = after
    return found


@pytest.fixture
def redis_url(real_redis_url: str) -> str:
    """The fake takes longer, and tells nothing more."""
    return real_redis_url


async def test_picture_has_each_way_that_a_job_goes(redis: Any) -> None:
    found = set()
    for steps in WAYS:
        await redis.flushall()
        desk = Watched(redis)
        await desk.heartbeat("a")
        await desk.join()
        found |= await gone(desk, steps)
    assert found == drawn()


def test_each_end_is_drawn_as_one() -> None:
    ends = set(re.findall(r"^ +(\S+) --> \[\*\]", PAGE.read_text(), re.MULTILINE))
    befores = {before for before, _ in drawn()}
    assert ends == {after for _, after in drawn()} - befores
