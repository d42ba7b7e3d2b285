"""lua/emit.lua: frames reach the api, from the holder of the attempt only, and within its bound."""

from testing.desk import Desk
from testing.queue_contents import Told


async def test_frames_of_several_jobs_arrive_in_one_entry(desk: Desk) -> None:
    await desk.join(slots=2)
    await desk.enqueue("j1", "j2")
    _, (one, two) = await desk.claim()
    assert await desk.emit(one, two, payload=b"data") == [b"OK"]
    assert await desk.told() == [Told(one, "chunk", b"data"), Told(two, "chunk", b"data")]
    assert await desk.redis.xlen(desk.keys.named("replies", "a")) == 2  # hello, and this


async def test_repeated_emit_passes_the_same_frames_again(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    assert [await desk.emit(attempt_id), await desk.emit(attempt_id)] == [[b"OK"], [b"OK"]]
    first, second = await desk.told()
    assert first == second


async def test_visible_frames_mark_the_job(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    await desk.emit(attempt_id, visible=0)
    assert "visible" not in await desk.job("j1")
    await desk.emit(attempt_id, visible=1)
    assert (await desk.job("j1"))["visible"] == "1"


async def test_attempt_of_another_worker_is_named_and_not_passed_on(desk: Desk) -> None:
    await desk.join("w", 1)
    await desk.join("v", 1)
    await desk.enqueue("j1", "j2")
    mine, other = await desk.take("w"), await desk.take("v")
    assert await desk.emit(mine, other) == [b"OK", other.encode()]
    assert await desk.heard() == [(mine, "chunk")]
    assert "visible" not in await desk.job("j2")


async def test_only_foreign_attempts_write_nothing(desk: Desk) -> None:
    await desk.join()
    assert await desk.emit("j9:n-1", payload=b"x" * 99, most_unread=1) == [b"OK", b"j9:n-1"]
    assert await desk.told() == []


async def test_gone_api_gets_no_new_stream(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    await desk.redis.delete(desk.keys.named("replies", "a"), desk.keys.named("api", "a"))
    assert await desk.emit(attempt_id) == [b"GONE"]
    assert not await desk.redis.exists(desk.keys.named("replies", "a"), desk.keys.named("api", "a"))
    assert "visible" not in await desk.job("j1")


async def test_api_that_does_not_read_is_slow_and_gets_nothing_more(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    await desk.emit(attempt_id, visible=0, payload=b"x" * 1000)
    told = await desk.told()
    assert await desk.emit(attempt_id, payload=b"x" * 1000, most_unread=1900) == [b"SLOW"]
    assert await desk.told() == told
    assert "visible" not in await desk.job("j1")


async def test_api_that_has_read_gets_more(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    await desk.emit(attempt_id, payload=b"x" * 1000)
    await desk.heartbeat("a", read=1000)
    assert await desk.emit(attempt_id, payload=b"x" * 1000, most_unread=1900) == [b"OK"]


async def test_one_emit_over_the_bound_passes_when_all_is_read(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    assert await desk.emit(await desk.take(), payload=b"x" * 1000, most_unread=100) == [b"OK"]


async def test_emit_extends_the_lease(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    desk.later(3000)
    await desk.emit(attempt_id)
    assert await desk.redis.zscore(desk.keys.named("workers"), "w") > await desk.now_ms() + 9000
