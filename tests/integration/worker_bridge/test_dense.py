"""Streams that their bridge reads just before their emit, and what may happen to them meanwhile."""

import asyncio
import json

import pytest

from dispatcher import crowd
from testing.fake_llama_server import Chat
from testing.stage import Stage
from testing.waiting import until
from worker_bridge.connection import Connection

pytestmark = pytest.mark.real

WORDS = [f"{number} " for number in range(40)]


@pytest.fixture(autouse=True)
def read(monkeypatch: pytest.MonkeyPatch) -> list[Connection]:
    """Two streams are dense here. The connections that were read, each time."""
    read: list[Connection] = []
    truly = Connection.read

    def note(connection: Connection) -> None:
        read.append(connection)
        truly(connection)

    monkeypatch.setattr(crowd, "is_dense", lambda streams, _: streams > 1)
    monkeypatch.setattr(Connection, "read", note)
    return read


async def talk(chat: Chat) -> None:
    """For about half a second."""
    for word in WORDS:
        await chat.say(word)
        await asyncio.sleep(0.01)
    await chat.finish()


async def break_off(chat: Chat) -> None:
    for word in WORDS[:20]:
        await chat.say(word)
        await asyncio.sleep(0.01)


async def text(stage: Stage) -> str:
    """What a client of a stream sees, and how that ends."""
    *chunks, end = await stage.events()
    choices = [choice for chunk in chunks for choice in json.loads(chunk).get("choices", [])]
    return "".join(choice["delta"].get("content") or "" for choice in choices) + end


async def test_streams_are_whole_while_another_breaks_off(
    stage: Stage, read: list[Connection]
) -> None:
    server = stage.server()
    server.slots = 4
    stage.script.extend([talk, break_off, talk, talk])
    server.reply = talk
    async with stage.bridged(server):
        *said, last = sorted(await asyncio.gather(*(text(stage) for _ in range(4))))
    whole = "".join(WORDS) + "[DONE]"
    assert (said[1:], last) == ([whole, whole], whole)
    assert said[0].startswith("".join(WORDS[:10]))  # what had not been emitted is lost, and goes on
    assert len(set(read)) >= 4
    assert len(read) < 4 * len(WORDS)


async def test_streams_end_while_their_bridge_drains(stage: Stage, read: list[Connection]) -> None:
    server = stage.server()
    server.reply = talk
    async with stage.bridged(server):
        asking = asyncio.gather(*(text(stage) for _ in range(2)))
        await until(lambda: len(read) > 4)
        stage.drain(server)
        assert await asking == ["".join(WORDS) + "[DONE]"] * 2


async def test_slot_is_free_when_the_client_of_a_stream_has_gone(
    stage: Stage, read: list[Connection]
) -> None:
    async def talk_for_ever(chat: Chat) -> None:
        while True:
            await chat.say("and ")
            await asyncio.sleep(0.01)

    server = stage.server()
    server.reply = talk_for_ever
    async with stage.bridged(server):
        asking = [asyncio.create_task(text(stage)) for _ in range(2)]
        for busy in (1, 0):
            await until(lambda: len(read) > 4)
            asking[busy].cancel()
            await until(lambda busy=busy: server.busy == busy)
