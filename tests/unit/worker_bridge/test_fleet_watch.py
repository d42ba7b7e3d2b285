"""The workers of one process share their look at the fleet."""

import asyncio
from typing import Any

import pytest

from dispatcher.fleet import NO_FLEET, Fleet
from dispatcher.keys import Keys
from dispatcher.tasks import cancel
from testing.waiting import until
from worker_bridge import fleet_watch
from worker_bridge.fleet_watch import FleetWatch


async def test_one_looks_for_all_and_another_one_when_that_has_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = 0

    async def look(*_: object) -> Fleet:
        nonlocal looks
        looks += 1
        return NO_FLEET

    monkeypatch.setattr(fleet_watch, "fetch_fleet", look)
    monkeypatch.setattr(fleet_watch, "_LOOK_EVERY_S", 0.05)
    link: Any = None
    watch, told = FleetWatch(link, Keys("m")), [0, 0]

    def listen(who: int) -> None:
        told[who] += 1

    first = asyncio.create_task(watch.tell(lambda _: listen(0)))
    await asyncio.sleep(0)
    second = asyncio.create_task(watch.tell(lambda _: listen(1)))
    await until(lambda: told[1] >= 3)
    assert looks == told[0] <= told[1] + 1
    await cancel([first])
    heard = told[1]
    await until(lambda: told[1] >= heard + 2)
    assert told[0] < looks
    await cancel([second])
