"""What signals tell a bridge, where its event loop takes them and where it doesn't."""

import asyncio
import signal
from collections.abc import Iterator

import pytest

from worker_bridge.signals import ORPHANED, heed_signals

HEEDED = (signal.SIGTERM, signal.SIGINT, ORPHANED)


@pytest.fixture(params=["by the loop", "outside"])
async def loop(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[asyncio.AbstractEventLoop]:
    """One that takes signals, and one that doesn't, as that of Windows."""
    before = {number: signal.getsignal(number) for number in HEEDED}
    loop = asyncio.get_running_loop()
    if request.param == "outside":

        def refuse(*_: object) -> None:
            raise NotImplementedError

        monkeypatch.setattr(loop, "add_signal_handler", refuse)
    yield loop
    for number, handler in before.items():
        loop.remove_signal_handler(number)
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_first_signal_drains_and_second_hurries(
    loop: asyncio.AbstractEventLoop, number: signal.Signals
) -> None:
    signals = heed_signals()
    signal.raise_signal(number)
    await asyncio.wait_for(signals.drain.wait(), 30)
    assert not signals.hurry.is_set()
    signal.raise_signal(number)
    await asyncio.wait_for(signals.hurry.wait(), 30)


async def test_orphan_has_no_time(loop: asyncio.AbstractEventLoop) -> None:
    signals = heed_signals()
    signal.raise_signal(ORPHANED)
    await asyncio.wait_for(signals.hurry.wait(), 30)
    assert signals.drain.is_set()
