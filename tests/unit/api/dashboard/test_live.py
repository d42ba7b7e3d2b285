"""One reader for all open pages, and none where no page is open."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from api.dashboard import live as live_module
from api.dashboard.events import Events
from api.dashboard.live import MOST_PAGES, Live
from api.errors import ApiError
from dispatcher.errors import RedisUnavailable


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "until_beat_s", lambda _: 0.01)


class Reads:
    """Counts them, and fails as it is told."""

    def __init__(self) -> None:
        self.count = 0
        self.fault: Exception | None = None

    async def read(self) -> bytes:
        self.count += 1
        if self.fault is not None:
            raise self.fault
        return b"%d" % self.count


class Client:
    """A page that is open, as ASGI sees it."""

    def __init__(self, live: Live, check: Callable[[], Awaitable[None]]) -> None:
        self.sent: asyncio.Queue[Any] = asyncio.Queue()
        self.left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        response = Events(live, check)
        self.task = asyncio.create_task(response({}, self._receive, self._send))

    async def _receive(self) -> Any:
        await self.left
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.sent.put_nowait(message)

    async def next(self) -> bytes:
        message = await asyncio.wait_for(self.sent.get(), 30)
        return bytes(message.get("body", b""))

    async def event(self) -> bytes:
        while not (body := await self.next()).startswith(b"event:"):
            pass
        return body


async def allowed() -> None:
    """Everybody is."""


async def test_two_pages_cost_as_much_as_one_and_none_costs_nothing() -> None:
    reads = Reads()
    live = Live(reads.read)
    assert not live.is_reading
    one, other = Client(live, allowed), Client(live, allowed)
    first = await one.event()
    assert first == b"event: snapshot\ndata: 1\n\n" == await other.event()
    one.left.set_result(None)
    await one.task
    assert live.is_reading
    other.left.set_result(None)
    await other.task
    assert not live.is_reading
    before = reads.count
    await asyncio.sleep(0.05)
    assert reads.count == before


async def test_outage_is_told_and_ends_nothing() -> None:
    reads = Reads()
    client = Client(Live(reads.read), allowed)
    await client.event()
    reads.fault = RedisUnavailable("Redis can't be reached: no answer")
    while b"trouble" not in (event := await client.event()):
        pass
    assert b"can't be reached" in event
    reads.fault = ValueError("secret")
    while b"Its log" not in (event := await client.event()):
        pass
    assert b"secret" not in event
    reads.fault = None
    while b"snapshot" not in await client.event():
        pass
    client.left.set_result(None)
    await client.task


async def test_page_ends_with_its_token() -> None:
    is_valid = True

    async def check() -> None:
        if not is_valid:
            raise ApiError(401, "The token was revoked.", type="e", code="invalid_api_key")

    live = Live(Reads().read)
    client = Client(live, check)
    await client.event()
    is_valid = False
    while not (event := await client.event()).startswith(b"event: end"):
        pass
    assert b"The token was revoked." in event
    await asyncio.wait_for(client.task, 30)
    assert not live.is_reading


async def test_api_that_ends_waits_for_no_page() -> None:
    live = Live(Reads().read)
    client = Client(live, allowed)
    await client.event()
    live.close()
    await asyncio.wait_for(client.task, 30)
    with pytest.raises(ApiError, match="about to end"):
        live.open()


async def test_pages_are_bounded() -> None:
    live = Live(Reads().read)
    pages = [live.open() for _ in range(MOST_PAGES)]
    with pytest.raises(ApiError, match="Too many dashboards"):
        live.open()
    for page in pages:
        live.leave(page)
    live.leave(live.open())
