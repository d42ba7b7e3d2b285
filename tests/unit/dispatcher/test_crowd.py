"""When the emits of one process leave."""

import asyncio

import pytest

from dispatcher.crowd import Crowd


async def test_all_that_wait_are_called_at_once_and_each_of_them_once() -> None:
    crowd, called, over = Crowd(), [], asyncio.Event()
    crowd.join(range(9))
    crowd.began()

    def first() -> None:
        called.append("first")

    def second() -> None:
        called.append("second")
        asyncio.get_running_loop().call_soon(over.set)

    for ring in (first, second, first):
        crowd.call_together(ring)
    assert called == []
    await asyncio.wait_for(over.wait(), 5)
    assert sorted(called) == ["first", "second"]


async def test_stream_that_is_alone_waits_only_for_its_last_emit() -> None:
    crowd, called = Crowd(), []
    crowd.join(range(1))
    crowd.call_together(lambda: called.append("at once"))
    assert called == ["at once"]
    crowd.began()
    crowd.call_together(lambda: called.append("later"))
    assert called == ["at once"]


async def test_streams_of_all_outboxes_are_counted_as_long_as_these_run() -> None:
    crowd = Crowd()
    streams = [range(34), range(0), range(34)]
    for each in streams:
        crowd.join(each)
    crowd.rate.per_s = 68 * 50
    assert crowd._left_s() == pytest.approx(0.04)
    crowd.leave(streams[0])
    assert crowd._left_s() == pytest.approx(0.0275)
