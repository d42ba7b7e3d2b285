"""A job whose record in Redis is damaged ends, whatever script meets it, and the others go on."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from redis.asyncio import Redis

from testing.desk import LEASE_MS, Desk
from testing.queued_jobs import DEADLINE_MS

FIELDS = (
    *("state", "api", "tenant", "user", "tier", "weight", "class", "wants", "estimate", "place"),
    *("prompt_estimate", "completion_estimate", "bytes", "enqueued_ms", "wait_until_ms"),
    *("deadline_ms", "attempts", "max_attempts", "crashes", "max_crashes", "max_tenant_running"),
    "generation",
)
SLOTS = 99
OF_ATTEMPTS = ("worker", "attempt", "claimed_ms")
GARBAGE = ("", "many", "nan", "-1", "1e300", "5.5")
GOOD = ("j1", "j2", "j3")
OVER = ("done", "rejected", "failed", "cancelled", "expired", "dropped", "abandoned", "")

Act = Callable[[Desk], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Damage:
    """A field of a job that is missing (None) or holds this; without a field, no hash at all."""

    field: str = ""
    value: str | None = None

    async def strike(self, desk: Desk, job: str) -> None:
        key = desk.keys.named("job", job)
        if not self.field:
            await desk.redis.delete(key)
            await desk.redis.set(key, "x")
        elif self.value is None:
            await desk.redis.hdel(key, self.field)
        else:
            await desk.redis.hset(key, self.field, self.value)


# Each of these also alone: else one may hide what another one leaves.
ALONE = (Damage(), Damage("tenant"), Damage("estimate", "nan"), Damage("place"))


def damages(fields: tuple[str, ...]) -> list[Damage]:
    """Each field missing, and as garbage of two kinds."""
    found = [Damage(), *(Damage(field) for field in fields)]
    for i, field in enumerate(fields):
        found += [Damage(field, GARBAGE[(i + more) % len(GARBAGE)]) for more in (0, 1)]
    return found


async def bad_ones(desk: Desk) -> list[str]:
    """The damaged jobs."""
    keys = [key.decode() async for key in desk.redis.scan_iter(desk.keys.named("job", "bad*"))]
    return [key.rpartition(":")[2] for key in keys]


async def claim_all(desk: Desk) -> None:
    await desk.claim()


async def be_reaped(desk: Desk) -> None:
    await desk.redis.zadd(desk.keys.named("workers"), {"w": 1})
    for _ in range(2):  # one call does not recover all
        await desk.reap()
    assert await desk.redis.zrange(desk.keys.named("workers"), 0, -1) == []
    assert not await desk.redis.hexists(desk.keys.named("speeds"), "w")


async def register_anew(desk: Desk) -> None:
    verdicts = [(await desk.join(slots=SLOTS, epoch="new"))[0] for _ in range(2)]
    assert verdicts[-1] == b"OK"  # one call does not give all back


async def renew_all(desk: Desk) -> None:
    held = await desk.running()
    assert (await desk.renew(*held, slots=SLOTS, cost=500))[:2] == [b"OK", []]


async def forget_all(desk: Desk) -> None:
    desk.later(6000)
    await desk.renew(slots=SLOTS)


async def release_all(desk: Desk) -> None:
    for attempt_id in await desk.running():
        assert (await desk.release(attempt_id))[0] == "OK"


async def release_to_larger(desk: Desk) -> None:
    await desk.join("large", slots=SLOTS, context=9999)
    for attempt_id in await desk.running():
        assert (await desk.release(attempt_id, class_="context>1"))[0] == "OK"


async def emit_all(desk: Desk) -> None:
    assert await desk.emit(*await desk.running(), most_unread=2**20) == [b"OK"]


async def finish_all(desk: Desk) -> None:
    for attempt_id in await desk.running():
        assert (await desk.finish_raw(attempt_id, most=0))[0] == b"OK"


async def cancel_bad(desk: Desk) -> None:
    for job in await bad_ones(desk):
        await desk.cancel(job)


async def resume_bad(desk: Desk) -> None:
    for attempt_id in await desk.running():
        if attempt_id.startswith("bad"):
            await desk.resume(attempt_id)


async def ask_positions(desk: Desk) -> None:
    slots, _, *positions = await desk.commands.position([*GOOD, *await bad_ones(desk)])
    assert slots == SLOTS
    assert all(position > 0 for position in positions[: len(GOOD)])


async def lose_stream(desk: Desk) -> None:
    await desk.redis.delete(desk.keys.named("replies", "a"))
    unknown = (await desk.heartbeat("a", *GOOD, *await bad_ones(desk)))[2:]
    for job in GOOD:
        if job.encode() in unknown:
            await desk.enqueue(job, tenant=job)


async def pass_deadlines(desk: Desk) -> None:
    for job in (*GOOD, *await bad_ones(desk)):
        await desk.redis.zadd(desk.keys.named("deadlines"), {job: 1})
    await desk.reap()


QUEUED: tuple[Act, ...] = (claim_all, cancel_bad, ask_positions, lose_stream, pass_deadlines)
RUNNING: tuple[Act, ...] = (
    *(be_reaped, register_anew, renew_all, forget_all, release_all, release_to_larger, emit_all),
    *(finish_all, cancel_bad, resume_bad, lose_stream, pass_deadlines),
)


async def begin(redis: Redis, bad: int) -> Desk:
    await redis.flushall()
    desk = Desk(redis)
    await desk.reap()
    await desk.heartbeat("a")
    await desk.join(slots=SLOTS, prompt_tps=1, decode_tps=1)
    for number, job in enumerate(("j1", *(f"bad{i}" for i in range(bad)), "j2", "j3")):
        bounds = (0, 0) if number % 2 else (0, 5)
        await desk.enqueue(job, tenant=job, estimate=100, tenant_bounds=bounds)
    return desk


async def work_off(desk: Desk) -> None:
    """A worker ends what runs, takes what waits and ends it, and time passes."""
    for epoch in ("e", "new"):
        for attempt_id in await desk.running("w"):
            await desk.finish(attempt_id, epoch=epoch)
    await desk.join("v", slots=SLOTS, context=9999)
    while attempt_ids := (await desk.claim("v"))[1]:
        for attempt_id in attempt_ids:
            await desk.finish(attempt_id, "v")
    await desk.reap()


async def let_time_pass(desk: Desk) -> None:
    desk.later(DEADLINE_MS)
    for _ in range(2):
        await desk.heartbeat("a")
        await desk.reap()
    await desk.redis.zadd(desk.keys.named("workers"), {"w": 1, "v": 1, "large": 1})
    await desk.reap_after(LEASE_MS)


async def complaints(desk: Desk, act: Act) -> list[str]:
    """What is not as it should be, after all has ended."""
    found = []
    ends = ("done",) if act is not pass_deadlines else ("done", "expired", "cancelled")
    states = {job: await desk.state(job) for job in GOOD}
    found += [f"{job} is {state}" for job, state in states.items() if state not in ends]
    for job in await bad_ones(desk):
        if await desk.redis.type(desk.keys.named("job", job)) != b"hash":
            found.append("the damaged job is no hash")
        elif await desk.state(job) not in OVER:
            found.append(f"the damaged job is {await desk.state(job)}")
    counts = [await desk.counter(name) for name in ("running", "queued_bytes")]
    rest = [await desk.of_jobs(), await desk.queue(), counts]
    if rest != [[], [], [0, 0]]:
        found.append(f"left: {rest}")
    found += [str(key) async for key in desk.redis.scan_iter("*:body:*")]
    found += [str(key) async for key in desk.redis.scan_iter("*:running:*")]
    if await desk.redis.exists(desk.keys.named("deadlines")):
        found.append("deadlines are left")
    return found


async def meet(redis: Redis, act: Act, damages_: list[Damage], *, running: bool) -> list[str]:
    """What goes wrong when this script meets jobs with this damage."""
    desk = await begin(redis, len(damages_))
    while running and (await desk.claim())[1]:
        pass
    for number, damage in enumerate(damages_):
        await damage.strike(desk, f"bad{number}")
    try:
        await act(desk)
        await work_off(desk)
        await work_off(desk)
        await let_time_pass(desk)
        found = await complaints(desk, act)
    except Exception as error:
        found = [f"{type(error).__name__}: {error}"[:300]]
    what = damages_[0] if len(damages_) == 1 else "all of them"
    return [f"{what}: {complaint}" for complaint in found]


@pytest.mark.parametrize("act", QUEUED, ids=lambda act: act.__name__)
async def test_damaged_job_that_waits_harms_no_other(real_redis: Redis, act: Act) -> None:
    found = await meet(real_redis, act, damages(FIELDS), running=False)
    for damage in ALONE:
        found += await meet(real_redis, act, [damage], running=False)
    assert found == []


@pytest.mark.parametrize("act", RUNNING, ids=lambda act: act.__name__)
async def test_damaged_job_that_runs_harms_no_other(real_redis: Redis, act: Act) -> None:
    found = await meet(real_redis, act, damages((*FIELDS, *OF_ATTEMPTS)), running=True)
    for damage in (*ALONE, Damage("attempt")):
        found += await meet(real_redis, act, [damage], running=True)
    assert found == []


async def spoil_body(desk: Desk) -> None:
    await desk.redis.delete(desk.keys.named("body", "bad0"))
    await desk.redis.rpush(desk.keys.named("body", "bad0"), "x")
    await desk.redis.expire(desk.keys.named("body", "bad0"), 60)


async def spoil_charge(desk: Desk) -> None:
    await desk.redis.hset(desk.keys.named("charged"), "default|bad0", "much")


async def spoil_count(desk: Desk) -> None:
    await desk.redis.hset(desk.keys.named("busy"), "bad1", "some")


@pytest.mark.parametrize("damage", [Damage("path"), Damage("path", "many")])
async def test_job_without_a_path_ends_when_it_would_be_claimed(desk: Desk, damage: Damage) -> None:
    await desk.join(slots=SLOTS)
    await desk.enqueue("bad0", *GOOD)
    await damage.strike(desk, "bad0")
    _, attempt_ids = await desk.claim()
    assert [attempt_id.partition(":")[0] for attempt_id in attempt_ids] == list(GOOD)
    assert await desk.state("bad0") == "failed"


@pytest.mark.parametrize("act", [be_reaped, claim_all, finish_all, release_all])
@pytest.mark.parametrize("spoil", [spoil_body, spoil_charge, spoil_count])
async def test_damage_around_a_job_that_looks_sound_harms_no_other(
    real_redis: Redis, act: Act, spoil: Act
) -> None:
    """What no look at its fields can find."""
    desk = await begin(real_redis, 2)
    if act is not claim_all:
        await desk.claim()
    await spoil(desk)
    await act(desk)
    for _ in range(2):
        await work_off(desk)
    await let_time_pass(desk)
    assert await complaints(desk, act) == []


async def test_reaper_is_told_once_what_was_found_damaged(desk: Desk) -> None:
    await desk.reap()
    await desk.join()
    await desk.enqueue("bad1", "bad2", "j1")
    for job in ("bad1", "bad2"):
        await Damage("weight", "many").strike(desk, job)
    assert [attempt_id[:2] for attempt_id in (await desk.claim())[1]] == ["j1"]
    assert (await desk.reap())[5:] == [2, b"bad2: its weight is not a number"]
    assert len(await desk.reap()) == 5
    assert (await desk.job("bad1"))["flaw"] == "its weight is not a number"
    told = [
        (told.attempt_id, told.kind, b"its weight" in told.payload) for told in await desk.told()
    ]
    assert told == [("bad1:-1", "failed", True), ("bad2:-1", "failed", True)]


async def test_api_whose_name_was_lost_is_told_by_its_next_heartbeat(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("bad1")
    await Damage("api").strike(desk, "bad1")
    await desk.claim()
    assert (await desk.told(), (await desk.heartbeat("a", "bad1"))[2:]) == ([], [])
    assert await desk.heard() == [("bad1:-1", "failed")]
    await desk.heartbeat("a", "bad1")
    assert len(await desk.heard()) == 1


async def test_answer_that_is_complete_is_passed_on_though_its_job_is_damaged(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("bad1")
    attempt_id = await desk.take()
    await Damage("tenant").strike(desk, "bad1")
    assert await desk.finish(attempt_id) == "OK"
    assert await desk.heard() == [(attempt_id, "done")]
