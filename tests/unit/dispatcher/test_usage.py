"""What tenants have used: each job counts once, when it ends for good (lua/parts/use.lua)."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import pytest

from dispatcher import constants, script_text
from dispatcher.arguments import Ended
from dispatcher.commands import Identity, Offer, Wish
from dispatcher.constants import OTHER_USERS, USAGE_TTL_MS
from dispatcher.cost import Shown, Usage
from dispatcher.frames import Frame, Kind, pack
from dispatcher.job import NOBODY, tenant_key
from dispatcher.limits import Account, Limits
from dispatcher.patience import EAGER
from dispatcher.redis_clock import RedisClock
from dispatcher.usage import (
    DEFAULT_DAYS,
    USERS_DAYS,
    UsageRow,
    Used,
    days_between,
    keep_usage,
    known_models,
    today,
    usage_field,
    usage_of,
    usage_of_all,
    usage_of_users,
    with_rest,
)
from dispatcher.used_tokens import UsedTokens
from testing.desk import LEASE_MS, Desk
from testing.queued_jobs import queued_job

# On the fake their scripts take ten times as long.
pytestmark = pytest.mark.parametrize("redis_url", ["real"], indirect=True)

LAST = Usage(prompt=50, completion=7, cached=40)
SEEN = Shown(tokens=12, prompt=30, cached=5)
LOST_MS = 10_000


async def used(desk: Desk, tenant: str = "ann", user: str = "") -> Used:
    """On all the days that a test may take."""
    now = await today(desk.redis)
    days = days_between(now.replace(day=1), date(now.year + 2, 1, 1))
    rows = await usage_of(desk.redis, ["tiny"], days, tenant, user)
    return sum([row.used for row in rows], Used())


async def tokens_used(desk: Desk) -> tuple[int, Usage]:
    """How many requests, and their tokens."""
    found = await used(desk)
    return found.requests, Usage(found.prompt, found.completion, found.cached)


async def start(desk: Desk, **more: object) -> str:
    """The attempt at a job that runs."""
    await desk.join(fingerprint="f1")
    await desk.enqueue("j1", **more)
    return await desk.take()


async def finish(desk: Desk, *attempt_ids: str, last: Usage = LAST, state: str = "done") -> None:
    counts = last.prompt, last.completion, last.cached, 1
    ended = [
        Ended(attempt_id, state, pack([Frame(Kind(state), 0)]), *counts)
        for attempt_id in attempt_ids
    ]
    wish = Wish(Offer(), "nonce", 0, EAGER)
    answer = await desk.commands.finish(Identity("w", "e"), wish, ended)
    assert answer[3] == [1] * len(attempt_ids)


@pytest.mark.parametrize("state", ["done", "rejected", "cancelled"])
async def test_what_a_worker_reports_counts_once(desk: Desk, state: str) -> None:
    attempt_id = await start(desk)
    desk.later(1500)
    await desk.heartbeat("a")
    await desk.renew(attempt_id)
    await finish(desk, attempt_id, state=state)
    await finish(desk, attempt_id, state=state)  # its answer was lost
    assert await tokens_used(desk) == (1, LAST)
    assert 1500 <= (await used(desk)).slot_ms < 2500
    assert (await desk.job("j1"))["counted"].startswith("requests=1 prompt=50 cached=40 compl")


async def test_tenants_and_jobs_of_one_call_add_up(desk: Desk) -> None:
    await desk.join(slots=3)
    await desk.enqueue("j1", "j2")
    await desk.enqueue("j3", tenant="bob%7C")
    _, attempt_ids = await desk.claim()
    await finish(desk, *attempt_ids)
    await desk.enqueue("j4")
    await finish(desk, await desk.take())
    assert await tokens_used(desk) == (3, Usage(150, 21, 120))
    rows = await usage_of_all(desk.redis, await known(desk), [await today(desk.redis)])
    assert {row.tenant: row.used.requests for row in rows} == {"ann": 3, "bob|": 1}


async def known(desk: Desk) -> Sequence[str]:
    await desk.redis.zadd("llamaq:models", {"tiny": 1})
    return await known_models(desk.redis)


async def test_retried_job_counts_as_its_last_attempt(desk: Desk) -> None:
    attempt_id = await start(desk)
    assert await desk.release(attempt_id, used=Usage(50, 90, 0)) == ["OK", "revoked"]
    assert await tokens_used(desk) == (0, Usage())
    await finish(desk, await desk.take())
    assert await tokens_used(desk) == (1, LAST)


async def test_job_that_fails_unseen_counts_nothing(desk: Desk) -> None:
    attempt_id = await start(desk, attempts=1)
    assert await desk.release(attempt_id, used=Usage(50, 90, 0)) == ["OK", "failed"]
    assert await tokens_used(desk) == (0, Usage())


@pytest.mark.parametrize("seen", [SEEN, Shown(12), None])
async def test_answer_that_went_on_elsewhere_counts_as_its_client_is_told(
    desk: Desk, seen: Shown | None
) -> None:
    attempt_id = await start(desk)
    await desk.emit(attempt_id)
    desk.later(1000)
    await desk.heartbeat("a")
    assert await desk.release(attempt_id, used=Usage(30, 14, 5)) == ["OK", "lost"]
    desk.later(3000)
    await desk.heartbeat("a")
    await desk.renew()
    await desk.resume(attempt_id, seen=seen.text if seen else "", seen_cost=12000)
    await finish(desk, await desk.take())
    assert await tokens_used(desk) == (1, seen.whole(LAST) if seen else LAST)
    assert 1000 <= (await used(desk)).slot_ms < 2000


async def test_rest_that_redis_had_lost_counts_as_its_client_is_told(desk: Desk) -> None:
    await desk.join()
    row = queued_job("j1", generation=2, seen_cost=12000, seen=SEEN.text)
    await desk.enqueue_together(row)
    await finish(desk, await desk.take())
    assert await tokens_used(desk) == (1, SEEN.whole(LAST))


async def lose(desk: Desk) -> str:
    attempt_id = await start(desk)
    await desk.emit(attempt_id)
    assert await desk.release(attempt_id, used=Usage(30, 14, 5)) == ["OK", "lost"]
    return attempt_id


@pytest.mark.parametrize(
    ("shown", "counted"), [(SEEN.text, Usage(30, 12, 5)), ("", Usage(30, 14, 5))]
)
async def test_lost_answer_that_is_cancelled_counts_as_shown(
    desk: Desk, shown: str, counted: Usage
) -> None:
    await lose(desk)
    assert await desk.cancel("j1", shown=shown) == "lost"
    assert await desk.cancel("j1", shown=shown) == "cancelled"
    assert await tokens_used(desk) == (1, counted)


async def test_lost_answer_that_nobody_takes_up_counts_and_once_if_it_goes_on_later(
    desk: Desk,
) -> None:
    attempt_id = await lose(desk)
    await desk.reap_after(LOST_MS + 1000)
    assert await desk.state("j1") == "failed"
    assert await tokens_used(desk) == (1, Usage(30, 14, 5))
    await desk.resume(attempt_id, seen=SEEN.text)
    assert await tokens_used(desk) == (0, Usage())
    await desk.join(fingerprint="f1")
    await finish(desk, await desk.take())
    assert await tokens_used(desk) == (1, SEEN.whole(LAST))


async def test_lost_answer_that_too_many_have_failed_at_counts_as_shown(desk: Desk) -> None:
    attempt_id = await start(desk, attempts=1)
    await desk.emit(attempt_id)
    await desk.release(attempt_id, used=Usage(30, 14, 5))
    assert (await desk.resume(attempt_id, seen=SEEN.text))[0] == b"SPENT"
    assert await tokens_used(desk) == (1, Usage(30, 14, 5))


async def test_answer_whose_end_was_not_heard_counts_once(desk: Desk) -> None:
    attempt_id = await start(desk)
    await finish(desk, attempt_id)
    await desk.resume(attempt_id, seen=SEEN.text)
    await finish(desk, await desk.take(), last=Usage(9, 1, 0))
    assert await tokens_used(desk) == (1, SEEN.whole(Usage(9, 1, 0)))


async def test_whole_answer_that_was_not_heard_and_is_made_again_counts_once(desk: Desk) -> None:
    attempt_id = await start(desk)
    await finish(desk, attempt_id)
    await desk.redis.delete(desk.keys.named("replies", "a"))
    assert (await desk.heartbeat("a", "j1"))[2:] == [b"j1"]  # it was taken for dead
    assert await tokens_used(desk) == (0, Usage())
    await desk.enqueue("j1", generation=2)
    await finish(desk, await desk.take())
    assert await tokens_used(desk) == (1, LAST)


async def test_job_that_never_ran_counts_nothing(desk: Desk) -> None:
    await desk.enqueue("j1")
    await desk.cancel("j1", shown="")
    await desk.enqueue("j2", wait_ms=500)
    await desk.reap_after(2000)
    assert [await desk.state(job) for job in ("j1", "j2")] == ["cancelled", "expired"]
    assert await tokens_used(desk) == (0, Usage())


async def test_rest_that_expires_in_the_queue_counts_as_shown(desk: Desk) -> None:
    attempt_id = await lose(desk)
    await desk.resume(attempt_id, seen=SEEN.text)
    await desk.reap_after(200_000)
    assert await desk.state("j1") == "expired"
    assert await tokens_used(desk) == (1, Usage(30, 12, 5))


async def test_running_job_that_is_cancelled_counts_what_was_generated(desk: Desk) -> None:
    attempt_id = await start(desk)
    await desk.emit(attempt_id)
    assert await desk.cancel("j1", shown=SEEN.text) == "running"
    await finish(desk, attempt_id, state="cancelled")
    assert await tokens_used(desk) == (1, LAST)


@pytest.mark.parametrize(("is_told", "verdict"), [(True, "cancelled"), (False, "abandoned")])
async def test_job_that_is_given_back_and_nobody_waits_for_counts(
    desk: Desk, is_told: bool, verdict: str
) -> None:
    attempt_id = await start(desk)
    if is_told:
        await desk.cancel("j1", shown="3 30 5")
    else:
        await desk.redis.zrem(desk.keys.named("apis"), "a")
    assert await desk.release(attempt_id, used=LAST) == ["OK", verdict]
    assert await tokens_used(desk) == (1, LAST)


async def test_cancelled_job_of_a_dead_bridge_counts_what_its_client_was_shown(desk: Desk) -> None:
    attempt_id = await start(desk)
    await desk.emit(attempt_id)
    await desk.cancel("j1", shown=SEEN.text)
    await desk.reap()
    desk.later(LEASE_MS)
    await desk.heartbeat("a")
    await desk.reap_after(1000)
    assert await desk.state("j1") == "cancelled"
    assert await tokens_used(desk) == (1, Usage(30, 12, 5))


async def test_damaged_job_that_was_answered_counts(desk: Desk) -> None:
    attempt_id = await start(desk)
    await desk.redis.hset(desk.keys.named("job", "j1"), "estimate", "much")
    await finish(desk, attempt_id)
    assert await desk.state("j1") == "failed"
    assert await tokens_used(desk) == (1, LAST)


async def test_damaged_sums_cost_no_answer(desk: Desk) -> None:
    attempt_id = await start(desk)
    key = desk.keys.named("usage", (await today(desk.redis)).isoformat())
    await desk.redis.set(key, "no hash", ex=60)
    await finish(desk, attempt_id)
    assert await desk.state("j1") == "done"
    assert await tokens_used(desk) == (0, Usage())
    await desk.redis.delete(key)
    await desk.redis.hset(key, "ann", "nonsense")
    await desk.redis.expire(key, 60)
    await desk.enqueue("j2")
    await finish(desk, await desk.take())
    assert await tokens_used(desk) == (1, LAST)


async def test_request_of_many_jobs_counts_once_and_a_prompt_once_for_all_its_choices(
    desk: Desk,
) -> None:
    await desk.join(slots=4)
    parts = {"j0": "", "j1": "choice", "j2": "prompt", "j3": "choice"}
    await desk.enqueue_together(*(queued_job(job, part=part) for job, part in parts.items()))
    _, attempt_ids = await desk.claim()
    await finish(desk, *attempt_ids)
    assert await tokens_used(desk) == (1, Usage(100, 28, 80))


async def test_what_needs_no_slot_counts_as_a_request_without_tokens(desk: Desk) -> None:
    await finish(desk, await start(desk, class_="side"))
    assert await used(desk) == Used(requests=1)


def forget_scripts() -> None:
    script_text.script_text.cache_clear()
    script_text.timeless_text.cache_clear()


@pytest.fixture
def two_users_counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Of each tenant, by name."""
    monkeypatch.setattr(constants, "USERS_COUNTED", 2)
    forget_scripts()
    yield
    forget_scripts()


@pytest.mark.usefixtures("two_users_counted")
async def test_end_users_are_counted_beside_their_tenant_up_to_a_bound(desk: Desk) -> None:
    await desk.join(slots=6)
    for number, user in enumerate(["eve", "eve", "flo", "gil", "hal", "-"]):
        await desk.enqueue(f"j{number}", user=user)
        await finish(desk, await desk.take())
    now = await today(desk.redis)
    found = await usage_of_users(desk.redis, ["tiny"], [now], "ann")
    requests = {row.user: row.used.requests for row in found}
    assert requests == {"eve": 2, "flo": 1, OTHER_USERS: 2}
    assert (await used(desk)).requests == 6
    assert (await used(desk, user="eve")).requests == 2
    whole = await usage_of(desk.redis, ["tiny"], [now], "ann")
    rest = [row for row in with_rest(whole, found) if not row.user]
    assert rest == [UsageRow(now, "tiny", "ann", "", rest[0].used)]
    assert rest[0].used.requests == 1
    assert await usage_of_users(desk.redis, ["tiny"], [now], "an") == []


@pytest.mark.parametrize(
    "user", ["-", "(others)", "*", "a|b", "{x}", "%2D", "\n\x1b[2J", "é" * 256]
)
async def test_end_user_of_any_name_is_counted_and_told_by_it(desk: Desk, user: str) -> None:
    """Before, nothing was counted of the end user `-`, and `(others)` was asked for another sum: no
    limit of tokens held for them.
    """
    await desk.join()
    await desk.enqueue("j1", tenant="web", user=tenant_key(user) or NOBODY)
    await finish(desk, await desk.take())
    rows = await usage_of_users(desk.redis, await known(desk), [await today(desk.redis)], "web")
    assert [(row.tenant, row.user, row.used.requests) for row in rows] == [("web", user, 1)]
    assert (await used(desk, "web", user)).requests == 1


async def test_what_is_no_text_of_ours_is_not_even_read(desk: Desk) -> None:
    """An invited machine can write to the usage of its model. Before, an API read any length of it,
    on the link that all models share.
    """
    day, huge = await today(desk.redis), "prompt=1 " * 100_000
    text = "requests=1 prompt=2 cached=0 completion=3 slot_ms=0"
    places = usage_field("tiny", day, "ann"), usage_field("tiny", day, "ann", "u")
    for place in places:
        await desk.redis.hset(place.key, mapping={place.field: huge, "bob|v": text, huge: text})
    read = desk.redis.link.call
    answers: list[int] = []

    async def noted(*words: Any) -> Any:
        answer = await read(*words)
        answers.append(len(repr(answer)))
        return answer

    desk.redis.link.call = noted  # type: ignore[method-assign, assignment]
    days, models = [day], await known(desk)
    assert await usage_of(desk.redis, models, days, "ann") == []
    assert [row.user for row in await usage_of_users(desk.redis, models, days)] == ["v"]
    assert [row.user for row in await usage_of_all(desk.redis, models, days)] == ["v"]
    account = Account("ann", "", Limits(tokens_per_day=9))
    used = UsedTokens(desk.redis, RedisClock(), lambda: models)
    assert (await used.read([account], "tiny", day))[0].day == 0
    assert max(answers) < 1000
    await desk.redis.delete(*(place.key for place in places))


async def test_sums_are_of_the_utc_day_of_redis(desk: Desk) -> None:
    for days in (0, 31, 27, 366, 3000):
        desk.later(days * 86_400_000)
        await desk.heartbeat("a")
        job = f"after {days}"
        await desk.join(epoch="e")
        await desk.enqueue(job)
        await finish(desk, await desk.take())
        now = date.fromordinal(date(1970, 1, 1).toordinal() + await desk.now_ms() // 86_400_000)
        assert len(await usage_of(desk.redis, ["tiny"], [now], "ann")) == 1


async def test_usage_is_kept_for_400_days_or_as_an_api_says(desk: Desk) -> None:
    await finish(desk, await start(desk, user="eve"))
    day = await today(desk.redis)
    keys = [desk.keys.named(name, day.isoformat()) for name in ("usage", "usage_users")]
    kept = [await desk.redis.pttl(key) for key in keys]
    assert 0 <= USAGE_TTL_MS - kept[0] < 60_000
    assert round(kept[1] / 86_400_000) == USERS_DAYS < DEFAULT_DAYS
    await known(desk)
    await keep_usage(desk.redis, 62)
    assert [62 <= await desk.redis.ttl(key) / 86400 <= 63 for key in keys] == [True, True]
    await keep_usage(desk.redis, 1000)
    assert 1000 <= await desk.redis.ttl(keys[0]) / 86400 <= 1001
