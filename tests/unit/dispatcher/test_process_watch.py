"""How a process tells how late it is, what Redis does, and whom it has found dead."""

import asyncio
import time

import pytest

from dispatcher import process_watch
from dispatcher.metrics_text import metrics_text
from dispatcher.process_watch import ProcessWatch
from dispatcher.reaper import REAPED, reap
from testing.desk import Desk
from testing.scraped import Scraped


def told(watch: ProcessWatch) -> Scraped:
    text, _ = metrics_text(watch.sheet())
    return Scraped(text.decode())


async def test_a_loop_that_is_held_up_is_late(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_watch, "until_beat_s", lambda every_s: 0.01)
    looked = asyncio.Event()
    watch = ProcessWatch(desk.redis.link, looked.set)
    watching = asyncio.create_task(watch.run())
    await asyncio.sleep(0)
    time.sleep(0.12)  # noqa: ASYNC251  # the loop hears of nothing
    await looked.wait()
    found = told(watch)
    name = "llamaq_event_loop_lateness_seconds"
    assert found.sum(f"{name}_bucket", le="0.1") < found.sum(f"{name}_count")
    while not told(watch).sum("llamaq_redis_round_trip_seconds_count"):
        looked.clear()
        await looked.wait()
    watching.cancel()


async def test_who_is_found_dead_is_counted(desk: Desk) -> None:
    watch = ProcessWatch(desk.redis.link)
    before = told(watch)
    await reap(desk.commands, 10)
    await desk.join("w")
    await desk.enqueue("one")
    await desk.claim("w")
    for leases in ("workers", "apis"):
        await desk.redis.zadd(desk.keys.named(leases), {"w" if leases == "workers" else "a": 1})
    await desk.redis.hincrby(desk.keys.named("counters"), "reaped_ms", -1000)
    REAPED.count(await reap(desk.commands, 10))
    now = told(watch)
    for name, labels in (
        ("llamaq_reaped_leases_total", {"kind": "worker", "end": "died"}),
        ("llamaq_reaped_leases_total", {"kind": "api", "end": "gone"}),
        ("llamaq_reaped_jobs_total", {}),
    ):
        assert now.sum(name, **labels) >= before.sum(name, **labels) + 1, (name, labels)
