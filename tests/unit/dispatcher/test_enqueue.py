"""lua/enqueue.lua: a job goes into the queue once, within the bounds."""

from testing.desk import Desk
from testing.queued_jobs import DEADLINE_MS, WAIT_MS


async def test_enqueue_tells_the_position(desk: Desk) -> None:
    assert await desk.enqueue("j1") == [b"OK", 1, 1]
    assert await desk.enqueue("j2") == [b"OK", 2, 2]


async def test_repeated_enqueue_changes_nothing(desk: Desk) -> None:
    await desk.enqueue("j1")
    before = await desk.everything()
    assert await desk.enqueue("j1", body=b"other") == [b"KNOWN", b"queued"]
    assert await desk.everything() == before


async def test_repeated_enqueue_of_an_ended_job_does_not_run_it_again(desk: Desk) -> None:
    await desk.enqueue("j1")
    await desk.join()
    await desk.finish(await desk.take())
    assert await desk.enqueue("j1") == [b"KNOWN", b"done"]
    assert await desk.queue() == []


async def test_api_without_a_reply_stream_is_refused(desk: Desk) -> None:
    before = await desk.everything()
    assert await desk.enqueue("j1", api="nobody") == [b"UNKNOWN_API"]
    assert await desk.everything() == before


async def test_bound_in_jobs(desk: Desk) -> None:
    await desk.enqueue("j1", "j2", bounds=(2, 2**20))
    assert await desk.enqueue("j3", bounds=(2, 2**20)) == [b"FULL", 2, 8]
    assert await desk.state("j3") == ""


async def test_bound_in_bytes(desk: Desk) -> None:
    await desk.enqueue("j1", body=b"x" * 60, bounds=(9, 100))
    assert await desk.enqueue("j2", body=b"x" * 41, bounds=(9, 100)) == [b"FULL", 1, 60]
    assert await desk.enqueue("j3", body=b"x" * 40, bounds=(9, 100)) == [b"OK", 2, 2]


async def test_one_job_over_the_bound_in_bytes_passes_when_nobody_waits(desk: Desk) -> None:
    assert await desk.enqueue("j1", body=b"x" * 101, bounds=(9, 100)) == [b"OK", 1, 1]


async def test_queued_bytes_are_those_of_the_bodies_that_wait(desk: Desk) -> None:
    await desk.enqueue("j1", body="ä€".encode())
    await desk.enqueue("j2", body=b"123")
    assert await desk.counter("queued_bytes") == 5 + 3
    await desk.join(slots=2)
    await desk.claim()
    assert await desk.counter("queued_bytes") == 0


async def test_a_wrong_byte_count_heals_when_nobody_waits(desk: Desk) -> None:
    await desk.redis.hset(desk.keys.named("counters"), "queued_bytes", 10**9)
    await desk.enqueue("j1")
    assert await desk.counter("queued_bytes") == 4


async def test_body_is_a_key_of_its_own_and_binary(desk: Desk) -> None:
    await desk.enqueue("j1", body=b"\x00\xff\r\n")
    assert await desk.redis.get(desk.keys.named("body", "j1")) == b"\x00\xff\r\n"


async def test_job_can_be_read_with_redis_cli(desk: Desk) -> None:
    await desk.enqueue("j1", estimate=5)
    job, now = await desk.job("j1"), await desk.now_ms()
    shown = (job["state"], job["api"], job["tenant"], job["wants"], job["estimate"], job["bytes"])
    assert shown == ("queued", "a", "ann", "stream", "5", "4")
    assert 0 <= now - int(job["enqueued_ms"]) < 1000
    assert int(job["wait_until_ms"]) - int(job["enqueued_ms"]) == WAIT_MS
    assert int(job["deadline_ms"]) - int(job["enqueued_ms"]) == DEADLINE_MS


async def test_job_and_body_outlive_the_deadline_but_not_for_ever(desk: Desk) -> None:
    await desk.enqueue("j1")
    for name in ("job", "body"):
        left_ms = await desk.redis.pttl(desk.keys.named(name, "j1"))
        assert DEADLINE_MS < left_ms <= DEADLINE_MS + 600_000
