"""Who waits for a turn gets it, or hands it on."""

import asyncio

import pytest

from api.turns import Turns


async def test_one_that_is_cancelled_just_after_its_call_hands_its_turn_on() -> None:
    turns, handed_on = Turns(), []
    waiting = asyncio.create_task(turns.wait("ann", lambda: handed_on.append("ann")))
    await asyncio.sleep(0)
    assert turns.call_next()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert handed_on == ["ann"]


async def test_one_that_is_cancelled_before_its_call_has_nothing_to_hand_on() -> None:
    turns, handed_on = Turns(), []
    waiting = asyncio.create_task(turns.wait("ann", lambda: handed_on.append("ann")))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not turns.call_next()
    assert handed_on == []
