"""What processes tell of the last hour and week."""

from typing import Any

import pytest

from dispatcher.figures import Done, Figures
from dispatcher.history import HOUR, WEEK, Recorder, Row, read_history
from dispatcher.keys import Keys
from dispatcher.latencies import Latencies, read_latencies

FIGURES = Figures(Done(requests=2, completion=30), Latencies().with_one(100), Latencies())


async def now_ms(redis: Any) -> int:
    seconds, micros = await redis.link.call("TIME")
    return int(seconds) * 1000 + int(micros) // 1000


async def rows_of(redis: Any, span: Any) -> list[Row]:
    return await read_history(redis, ["m"], span, await now_ms(redis))


async def test_what_a_process_adds_is_read_by_minutes_and_by_hours(redis: Any) -> None:
    recorder = Recorder(redis.link, Keys("m"), "worker", "a|b c-1")
    await recorder.add(FIGURES)
    await recorder.add(Figures(Done(requests=1)))
    for span in (HOUR, WEEK):
        rows = await rows_of(redis, span)
        total = sum([row.figures for row in rows], Figures())
        assert total == FIGURES + Figures(Done(requests=1))
        assert {(row.kind, row.name) for row in rows} == {("worker", "a|b c-1")}


async def test_each_key_ends_by_itself(redis: Any) -> None:
    await Recorder(redis.link, Keys("m"), "api", "x").add(FIGURES)
    lives = {key.decode().rpartition(":")[0]: await redis.ttl(key) for key in await redis.keys()}
    assert set(lives) == {"llamaq:{m}:minutes", "llamaq:{m}:hours"}
    assert 3600 < lives["llamaq:{m}:minutes"] <= 7200
    assert 7 * 86400 < lives["llamaq:{m}:hours"] <= 8 * 86400


async def test_nothing_done_writes_nothing(redis: Any) -> None:
    await Recorder(redis.link, Keys("m"), "api", "x").add(Figures())
    assert await redis.keys() == []


async def test_what_could_not_be_written_comes_later(redis: Any) -> None:
    recorder = Recorder(redis.link, Keys("m"), "api", "x")
    step = (await now_ms(redis) - 30_000) // 3_600_000
    key = Keys("m").named("minutes", str(step))
    await redis.set(key, "not a hash")
    with pytest.raises(Exception, match="WRONGTYPE"):
        await recorder.add(FIGURES)
    await redis.delete(key)
    await recorder.add(Figures(Done(requests=1)))
    rows = await rows_of(redis, HOUR)
    assert sum([row.figures.done.requests for row in rows]) == 3


async def test_rows_that_nobody_of_ours_wrote_harm_nothing(redis: Any) -> None:
    await Recorder(redis.link, Keys("m"), "worker", "w").add(FIGURES)
    (key,) = await redis.keys("*minutes*")
    odd = {"": "", "x|done|worker|w": "requests=1", "99|done|worker|w": "requests=1"}
    odd |= {"1|done|w": "requests=1", b"1|done|\xff|w": b"requests=\xff", "1|what|a|b": "1:1"}
    odd |= {"2|done|worker|w": "requests=9" * 99}
    await redis.hset(key, mapping=odd)
    rows = await rows_of(redis, HOUR)
    assert sum([row.figures for row in rows], Figures()) == FIGURES


def test_times_fall_into_classes() -> None:
    some = Latencies()
    for ms in (1, 100, 200, 400, 10**9):
        some = some.with_one(ms)
    middle = some.quantile_ms(0.5)
    assert middle is not None
    assert 120 < middle < 250
    assert read_latencies(some.text) == some
    assert Latencies().quantile_ms(0.5) is None
