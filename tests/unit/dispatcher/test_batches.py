"""What comes in one tick, and while a call is in flight, is sent together."""

import asyncio
from typing import Any

from redis.exceptions import ResponseError

from dispatcher.batches import MOST, Batches
from dispatcher.commands import Bounds, Identity, Offer, Wish
from dispatcher.errors import RedisUnavailable
from dispatcher.patience import EAGER
from testing.desk import Desk
from testing.queued_jobs import ended_attempt, queued_job


class Sent:
    """Keeps what is sent. Each call ends when it may; `fault` of its items is raised."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.begun: asyncio.Queue[list[str]] = asyncio.Queue()
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.fault: Exception | None = None

    async def __call__(self, batch: list[str]) -> list[str]:
        self.batches.append(batch)
        self.begun.put_nowait(batch)
        await self.may_end.wait()
        if self.fault and "bad" in batch:
            raise self.fault
        return [item.upper() for item in batch]


async def test_items_of_one_tick_are_sent_together() -> None:
    sent = Sent()
    batches = Batches(sent)
    assert await asyncio.gather(*map(batches.put, "abc")) == ["A", "B", "C"]
    assert sent.batches == [["a", "b", "c"]]


async def test_what_comes_while_a_call_is_in_flight_is_sent_in_the_next() -> None:
    sent = Sent()
    batches = Batches(sent)
    sent.may_end.clear()
    first = asyncio.create_task(batches.put("a"))
    await sent.begun.get()
    others = [asyncio.create_task(batches.put(item)) for item in "bc"]
    gone = asyncio.create_task(batches.put("d"))
    await asyncio.sleep(0)
    gone.cancel()
    sent.may_end.set()
    assert await asyncio.gather(first, *others) == ["A", "B", "C"]
    assert sent.batches == [["a"], ["b", "c"]]


async def test_no_call_has_more_than_64() -> None:
    sent = Sent()
    batches = Batches(sent)
    await asyncio.gather(*(batches.put(f"{number}") for number in range(MOST + 1)))
    assert [len(batch) for batch in sent.batches] == [MOST, 1]


async def test_large_item_is_sent_alone_and_holds_up_nobody() -> None:
    sent = Sent()
    batches = Batches(sent, size=len, most_bytes=3)
    sent.may_end.clear()
    large = asyncio.create_task(batches.put("large"))
    small = asyncio.create_task(batches.put("a"))
    for _ in range(2):
        await sent.begun.get()
    sent.may_end.set()
    assert await asyncio.gather(large, small) == ["LARGE", "A"]


async def test_batch_with_an_error_in_it_is_sent_item_by_item() -> None:
    sent = Sent()
    sent.fault = ResponseError("bad")
    batches = Batches(sent)
    found = await asyncio.gather(*map(batches.put, ["a", "bad", "c"]), return_exceptions=True)
    assert [found[0], found[2]] == ["A", "C"]
    assert isinstance(found[1], ResponseError)
    assert sent.batches == [["a", "bad", "c"], ["a"], ["bad"], ["c"]]


async def test_outage_is_that_of_each_item_and_the_next_call_is_made() -> None:
    sent = Sent()
    sent.fault = RedisUnavailable("away")
    batches = Batches(sent)
    found = await asyncio.gather(*map(batches.put, ["a", "bad"]), return_exceptions=True)
    assert all(isinstance(each, RedisUnavailable) for each in found)
    assert await batches.put("b") == "B"
    assert sent.batches == [["a", "bad"], ["b"]]


# The scripts.


async def test_each_job_of_a_batch_has_its_own_verdict(desk: Desk) -> None:
    await desk.enqueue("known")
    await desk.enqueue("damaged")
    await desk.redis.hset(desk.keys.named("job", "damaged"), "tier", "x")
    rows = [queued_job(job) for job in ("known", "new", "new")]
    rows += [queued_job("late", latest_ms=1), queued_job("damaged", generation=2)]
    rows += [queued_job("odd", weight="heavy", deadline_ms="soon"), queued_job("last")]
    verdicts = await desk.enqueue_together(*rows)
    said = [b"KNOWN", b"OK", b"KNOWN", b"LATE", b"OK", b"FAILED", b"OK"]
    assert [verdict[0] for verdict in verdicts] == said
    assert sorted(await desk.queue()) == ["damaged", "known", "last", "new"]
    await desk.cancel("odd")


async def test_bounds_count_the_jobs_of_the_same_batch(desk: Desk) -> None:
    verdicts = await desk.commands.enqueue(
        "a", Bounds(3, 2, 2, 2**20, 0, 0), [queued_job(f"j{n}") for n in range(3)]
    )
    assert [verdict[0] for verdict in verdicts] == [b"OK", b"OK", b"FULL"]
    assert [verdict[1] for verdict in verdicts[:2]] == [1, 2]


async def test_batch_leaves_what_its_jobs_leave_one_by_one(desk: Desk) -> None:
    rows = [queued_job(f"a{n}", body=b"x" * n, supersedes="key" * (n // 3)) for n in range(6)]
    rows[2:2] = [queued_job(f"b{n}", tenant="bob", class_="vision") for n in range(3)]
    rows += [queued_job("c", user="cid"), queued_job("a0", generation=2)]
    together, apart = Desk(desk.redis, "together"), Desk(desk.redis, "apart")
    for of_model in together, apart:
        await of_model.heartbeat("a")
    said = [(await apart.enqueue_together(row))[0] for row in rows]
    assert await together.enqueue_together(*rows) == said
    assert await _entered(together) == await _entered(apart)
    assert sorted(await together.queue()) == ["a0", "a1", "a2", "a5", "b0", "b1", "b2", "c"]


async def _entered(desk: Desk) -> list[Any]:
    """What is counted of the jobs that wait, and which have a deadline."""
    paths = [f"any{path}" for path in ("", "|default", "|default|ann", "|default|bob")]
    keys = [desk.keys.named(name) for name in ("queue", "classes", "waiting", "waiting_bytes")]
    keys += [desk.keys.named("turns", path) for path in paths]
    counted = [await desk.redis.zrange(key, 0, -1, withscores=True) for key in keys]
    dues = await desk.redis.zrange(desk.keys.named("deadlines"), 0, -1)
    return [counted, sorted(dues), await desk.counter("queued_bytes")]


async def test_attempts_end_together_and_their_slots_get_the_next_jobs(desk: Desk) -> None:
    await desk.join(slots=3)
    await desk.enqueue(*(f"j{number}" for number in range(6)))
    _, attempt_ids = await desk.claim()
    who, wish = Identity("w", "e"), Wish(Offer(3), "n", 0, EAGER)
    ended = [*map(ended_attempt, attempt_ids[:2]), ended_attempt("j9:n-1-1")]
    for _ in range(2):  # its answer was lost, and it came twice
        verdict, free, _, over, *rows = await desk.commands.finish(who, wish, ended)
        assert (verdict, free, over) == (b"OK", 0, [1, 1, 0])
        assert [row[0].partition(b":")[0] for row in rows] == [b"j3", b"j4"]
    assert [kind for _, kind in await desk.heard()] == ["done", "done"]


async def test_finish_of_foreign_attempts_alone_takes_nothing(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    who, wish = Identity("w", "e"), Wish(Offer(3), "n", 0, EAGER)
    answer = await desk.commands.finish(who, wish, [ended_attempt("j9:n-1-1")])
    assert answer == [b"OK", 1, b"0", [0]]


async def test_job_that_supersedes_one_of_the_same_batch_rings(desk: Desk) -> None:
    rows = [queued_job(job, supersedes="key") for job in ("j1", "j2")]
    assert [verdict[0] for verdict in await desk.enqueue_together(*rows)] == [b"OK", b"OK"]
    assert (await desk.queue(), await desk.rung()) == (["j2"], True)
