"""Whoever waits for a client's departure hears of it, once, and only until it stops listening."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from api.departure import Departure


class Client:
    """What uvicorn would say of a client."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.news = asyncio.Event()
        self.is_waited_for = False

    def say(self, kind: str) -> None:
        self.messages.append(kind)
        self.news.set()

    async def receive(self) -> dict[str, Any]:
        self.is_waited_for = True
        try:
            while not self.messages:
                await self.news.wait()
                self.news.clear()
        finally:
            self.is_waited_for = False
        await asyncio.sleep(0)  # some wait for a moment without waiting for anything
        return {"type": self.messages.pop(0)}


Heard = tuple[Client, list[int], Departure]


@pytest.fixture
def listen() -> Callable[..., Awaitable[Heard]]:
    async def listening(*messages: str) -> Heard:
        client, heard = Client(), list[int]()
        for kind in messages:
            client.say(kind)
        departure = Departure(client.receive, lambda: heard.append(1))
        await settle()
        return client, heard, departure

    return listening


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_departure_is_heard_once(listen: Callable[..., Awaitable[Heard]]) -> None:
    client, heard, departure = await listen()
    for kind in ("http.request", "http.request"):
        client.say(kind)
        await settle()
        assert not heard
    client.say("http.disconnect")
    await settle()
    client.say("http.disconnect")
    await settle()
    assert heard == [1]
    departure.close()


async def test_client_that_has_left_already_is_heard(
    listen: Callable[..., Awaitable[Heard]],
) -> None:
    _, heard, _ = await listen("http.request", "http.disconnect")
    assert heard == [1]


@pytest.mark.parametrize("is_due", [False, True])
async def test_nothing_is_heard_after_the_end(
    listen: Callable[..., Awaitable[Heard]], is_due: bool
) -> None:
    client, heard, departure = await listen()
    if is_due:
        client.say("http.disconnect")
    departure.close()
    assert not client.is_waited_for
    client.say("http.disconnect")
    await settle()
    assert not heard
