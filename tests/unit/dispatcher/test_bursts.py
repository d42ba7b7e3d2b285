"""Jobs that come at once spread over the workers with room, in few calls."""

from collections import deque

import pytest
from redis.asyncio import Redis

from dispatcher.arguments import Ended
from dispatcher.commands import Identity, Offer, Wish
from dispatcher.patience import EAGER
from testing.desk import Desk
from testing.queued_jobs import ended_attempt, queued_job


@pytest.fixture
async def desk(real_redis: Redis) -> Desk:
    """On a real server alone: the numbers are the same on the fake."""
    desk = Desk(real_redis)
    await desk.heartbeat("a")
    return desk


class Bridges:
    """Bridges that listen: who has waited longest hears the shared bell first, and then claims."""

    def __init__(self, desk: Desk, *names: str) -> None:
        self.desk = desk
        self.free = dict.fromkeys(names, 1)
        self.calls = 0
        self._line = deque(names)

    async def work(self) -> None:
        """Until nobody is called any more."""
        while name := await self._called():
            self._line.remove(name)
            _, self.free[name], _, *_ = await self.desk.claim_raw(name)
            self._line.append(name)
            self.calls += 1

    async def held(self) -> list[int]:
        """How many jobs each has."""
        return [len(await self.desk.running(name)) for name in self.free]

    async def _called(self) -> str | None:
        for name in self._line:
            if await self.desk.rung(name):
                return name
        listening = [name for name in self._line if self.free[name]]
        return listening[0] if listening and await self.desk.rung() else None


async def joined(desk: Desk, *workers: str, slots: int, **facts: float) -> Bridges:
    for worker in workers:
        await desk.join(worker, slots, process=worker, **facts)
    bridges = Bridges(desk, *workers)
    await bridges.work()
    bridges.calls = 0
    return bridges


@pytest.mark.parametrize("together", [64, 10, 1])
async def test_burst_spreads_over_idle_workers(desk: Desk, together: int) -> None:
    bridges = await joined(desk, "u", "v", "w", slots=100)
    for first in range(0, 120, together):
        rows = [queued_job(f"j{n}") for n in range(first, min(120, first + together))]
        await desk.enqueue_together(*rows)
        await bridges.work()
    assert all(36 <= jobs <= 44 for jobs in await bridges.held())
    assert bridges.calls <= 6 + min(120, 3 * (120 // together + 1))


async def test_burst_goes_where_there_is_room(desk: Desk) -> None:
    bridges = await joined(desk, "u", "v", "w", slots=10)
    await desk.enqueue_together(*(queued_job(f"old{n}") for n in range(9)))
    await desk.claim("u", 9)
    await desk.enqueue_together(*(queued_job(f"j{n}") for n in range(12)))
    await bridges.work()
    assert await bridges.held() == [10, 7, 4]


async def test_burst_is_not_held_back_for_slow_workers(desk: Desk) -> None:
    """Those are no peers: a fast one takes all that it has room for."""
    await desk.join("slow", 8, decode_tps=10, prompt_tps=100)
    await desk.join("fast", 8, decode_tps=40, prompt_tps=400)
    await desk.enqueue_together(*(queued_job(f"j{n}") for n in range(8)))
    _, free, _, *rows = await desk.claim_raw("fast")
    assert (free, len(rows)) == (0, 8)


async def test_same_few_words_fill_all_workers(desk: Desk) -> None:
    """Until fewer wait than there are slots, none is left empty for another one's cache."""
    bridges = await joined(desk, "v", "w", slots=4, prompt_tps=1000, decode_tps=100)
    hi = {"prefixes": ("hi",)}
    await desk.enqueue("first", **hi)
    await desk.commands.finish(*await ended_with(desk, "v", prompt_tokens=12))
    await desk.enqueue_together(*(queued_job(f"j{n}", **hi) for n in range(64)))
    for done in range(56):
        await bridges.work()
        assert await bridges.held() == [4, 4], f"after {done}"
        worker = ("v", "w")[done % 2]
        await desk.finish_raw((await desk.running(worker))[0], worker)


async def test_long_conversation_goes_on_where_it_was_and_few_words_anywhere(desk: Desk) -> None:
    await desk.join("v", 4, process="v")
    await desk.join("w", 4, process="w")
    for prompt, prefers in ((65, "v"), (64, "")):
        await desk.enqueue("first", prefixes=("p",))
        await desk.commands.finish(*await ended_with(desk, "v", prompt_tokens=prompt))
        await desk.enqueue("same", prefixes=("p",))
        assert (await desk.job("same")).get("prefers", "") == prefers
        await desk.enqueue("next", prefixes=("q", "p"))  # its answer was long
        assert (await desk.job("next"))["prefers"] == "v"
        await desk.cancel("same", "next")
        for job in ("first", "same", "next"):
            await desk.redis.delete(desk.keys.named("job", job))


async def ended_with(
    desk: Desk, worker: str, prompt_tokens: int
) -> tuple[Identity, Wish, list[Ended]]:
    """The one job, done by this worker."""
    ended = ended_attempt(await desk.take(worker))
    wish = Wish(Offer(0), "n", 0, EAGER)
    return Identity(worker, "e"), wish, [ended._replace(prompt_tokens=prompt_tokens)]
