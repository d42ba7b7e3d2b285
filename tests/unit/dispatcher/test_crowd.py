"""When the emits of one process leave."""

import asyncio

import pytest

from dispatcher.crowd import Crowd
from dispatcher.job import Claim
from dispatcher.outgoing import Outgoing
from testing.ends import Speaker
from testing.waiting import until


def streams(number: int) -> tuple[list[Outgoing], list[str]]:
    """So many, and what their attempt is told."""
    claim, speaker = Claim("j", "j:n-1", "a", frozenset(), 60, 0), Speaker()
    return [Outgoing(claim, speaker, lambda *_: None) for _ in range(number)], speaker.heard


async def test_all_that_wait_are_called_at_once_and_each_of_them_once() -> None:
    crowd, called, over = Crowd(), [], asyncio.Event()
    crowd.join(streams(9)[0])
    crowd.began()

    def first() -> None:
        called.append("first")

    def second() -> None:
        called.append("second")
        asyncio.get_running_loop().call_soon(over.set)

    for ring in (first, second, first):
        crowd.call_together(ring)
    assert called == []
    await asyncio.wait_for(over.wait(), 30)
    assert sorted(called) == ["first", "second"]


async def test_stream_that_is_alone_waits_only_for_its_last_emit() -> None:
    crowd, called = Crowd(), []
    crowd.join(streams(1)[0])
    crowd.call_together(lambda: called.append("at once"))
    assert called == ["at once"]
    crowd.began()
    crowd.call_together(lambda: called.append("later"))
    assert called == ["at once"]


async def test_streams_of_all_outboxes_are_counted_as_long_as_these_run() -> None:
    crowd = Crowd()
    each_has = [streams(34)[0], streams(0)[0], streams(34)[0]]
    for some in each_has:
        crowd.join(some)
    crowd.rate.per_s = 68 * 50
    assert crowd._left_s() == pytest.approx(0.04)
    crowd.leave(each_has[0])
    assert crowd._left_s() == pytest.approx(0.0275)


async def test_dense_streams_are_read_before_each_emit_until_they_are_dense_no_more() -> None:
    crowd, (said, heard), called = Crowd(), streams(65), []
    crowd.join(said)
    crowd.rate.per_s = 65 * 50
    crowd.call_together(lambda: called.append(list(heard)))
    await until(lambda: len(heard) >= 65)
    assert called == [["read"] * 65]
    await until(lambda: len(heard) >= 130)  # though nothing was said
    crowd.rate.per_s = 0
    await until(lambda: len(heard) >= 195)
    assert heard == ["read"] * 130 + ["listen"] * 65
    assert crowd._timer is None


async def test_streams_of_an_outbox_that_stops_listen() -> None:
    crowd, (said, heard) = Crowd(), streams(65)
    crowd.join(said)
    crowd.rate.per_s = 65 * 50
    crowd.call_together(lambda: None)
    await until(lambda: len(heard) >= 65)
    crowd.leave(said)
    assert heard == ["read"] * 65 + ["listen"] * 65
    await until(lambda: crowd._timer is None)
