"""How long Redis is blocked by the calls that do most. Times: printed, and held by nobody."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from itertools import count

from bench.counts.queue import BOUNDS, WAITING, fill, join, make_jobs, new_desk
from dispatcher.commands import Identity, Offer, Wish
from dispatcher.constants import HELD_LOOKED_AT, MOST_CLAIMED, MOST_RECOVERED
from dispatcher.patience import EAGER
from testing.desk import Desk
from testing.queued_jobs import ended_attempt

ROUNDS = 5
_MOST_ENDED = MOST_CLAIMED // 2  # in one call, which claims as many again


async def longest_scripts() -> dict[str, float]:
    """Milliseconds by Redis' own clock, while 1,000 jobs wait.

    Of each call the shortest of some rounds: other programs interrupt the longer ones.
    """
    found: dict[str, float] = {}
    async with new_desk() as (desk, _):
        numbers = count()
        for round_ in range(ROUNDS):
            async for name, ms in _time_calls(desk, f"w{round_}", numbers):
                found[name] = min(ms, found.get(name, ms))
    return found


async def _time_calls(
    desk: Desk, worker: str, numbers: "count[int]"
) -> AsyncIterator[tuple[str, float]]:
    """The worker joins, works, and dies."""
    await join(desk, worker, WAITING)
    await fill(desk, numbers, WAITING - len(await desk.queue()))
    enqueue = partial(desk.commands.enqueue, "a", BOUNDS, make_jobs(numbers, MOST_CLAIMED))
    yield f"enqueue of {MOST_CLAIMED}", await _ms(desk, enqueue)
    yield f"claim of {MOST_CLAIMED}", await _ms(desk, partial(desk.claim_raw, worker))
    while len(attempt_ids := await desk.running(worker)) < HELD_LOOKED_AT:
        await desk.claim_raw(worker)
    who = Identity(worker, "e")
    held = [(attempt_id, 1) for attempt_id in attempt_ids[:HELD_LOOKED_AT]]
    yield f"look at {HELD_LOOKED_AT}", await _ms(desk, partial(desk.commands.look, who, held))
    ended = [ended_attempt(attempt_id) for attempt_id in attempt_ids[:_MOST_ENDED]]
    wish = Wish(Offer(MOST_CLAIMED), f"f{worker}", 0, EAGER)
    finish = partial(desk.commands.finish, who, wish, ended)
    yield f"finish of {len(ended)}, and claim of as many", await _ms(desk, finish)
    await desk.redis.zadd(desk.keys.named("workers"), {worker: 1})
    yield f"reap of {MOST_RECOVERED}", await _ms(desk, partial(desk.reap_after, 1000))
    while await desk.running(worker):
        await desk.reap_after(1000)


async def _ms(desk: Desk, call: Callable[[], Awaitable[object]]) -> float:
    before = await _spent_us(desk)
    await call()
    return (await _spent_us(desk) - before) / 1000


async def _spent_us(desk: Desk) -> float:
    return float((await desk.redis.info("commandstats"))["cmdstat_evalsha"]["usec"])
