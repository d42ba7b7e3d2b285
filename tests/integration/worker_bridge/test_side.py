"""Requests that need no slot, between a bridge and a scripted server."""

import asyncio

import pytest

import worker_bridge.foreign as foreign
from dispatcher.constants import SIDE_PLACES
from dispatcher.keys import Keys
from testing.fake_llama_server import SIDE, Chat, FakeLlamaServer
from testing.replies import compute_error
from testing.stage import WHOLE, Stage
from testing.waiting import until
from worker_bridge.breaker import NO_ROUND, Breaker, Mode, Outcome

pytestmark = pytest.mark.real

ANSWER = {"tokens": [1, 2]}


class Gate:
    """Holds answers until it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()

    async def answer(self, chat: Chat) -> None:
        if "content" in chat.body:
            await self.opened.wait()
            await chat.whole(b'{"tokens":[1,2]}')
        else:
            await chat.say("Hello")  # so it has its slot
            await self.opened.wait()
            await chat.say(" world")
            await chat.finish()


def scripted(stage: Stage, slots: int = 1) -> FakeLlamaServer:
    server = stage.server(process="p1")
    server.endpoints, server.slots = {SIDE}, slots
    return server


async def ask(stage: Stage, content: str = "a") -> tuple[int, object]:
    response = await stage.post(SIDE, model=stage.model, content=content)
    return response.status_code, response.json()


async def test_they_take_no_slot_and_no_more_than_their_places(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_TICK_S", "_EVERY_S", "_EVERY_WHILE_SHARED_S"):
        monkeypatch.setattr(foreign, name, 0.1)
    server, sides, slot = scripted(stage, 2), Gate(), Gate()
    queue = Keys(stage.model).named("queue")
    async with stage.bridged(server):
        server.reply = sides.answer
        asked = [asyncio.create_task(ask(stage)) for _ in range(SIDE_PLACES + 2)]
        await until(lambda: len(server.chats) == SIDE_PLACES)
        server.reply = slot.answer
        chat = asyncio.create_task(stage.text())
        await until(lambda: server.busy == 1)
        server.busy += 1  # and the other slot is somebody else's
        await until(stage.knows(server, slots="1", foreign="1"))
        assert await stage.redis.zcard(queue) == 2
        server.busy -= 1
        await until(stage.knows(server, slots="2", foreign="0"))
        sides.opened.set()
        server.reply = sides.answer
        assert [await each for each in asked] == [(200, ANSWER)] * len(asked)
        slot.opened.set()
        assert await chat == WHOLE


async def test_their_failures_say_nothing_of_the_engine(stage: Stage) -> None:
    server = scripted(stage)
    async with stage.bridged(server):
        usual, server.reply = server.reply, compute_error
        assert {status for status, _ in [await ask(stage) for _ in range(4)]} == {502}
        assert await stage.has_breaker("closed")()
        server.reply = usual
        assert await stage.text() == WHOLE


async def test_one_whose_server_dies_goes_to_another(stage: Stage) -> None:
    broken, sound, gate = scripted(stage), scripted(stage), Gate()
    broken.reply = sound.reply = gate.answer
    async with stage.bridged(broken), stage.bridged(sound):
        asked = asyncio.create_task(ask(stage))
        await until(lambda: broken.chats or sound.chats)
        gate.opened.set() if sound.chats else None
        if broken.chats:
            broken.crash()
            await until(lambda: len(broken.chats) + len(sound.chats) == 2)
            gate.opened.set()
        assert await asked == (200, ANSWER)


@pytest.mark.parametrize("outcome", [Outcome.GOOD, Outcome.BAD, Outcome.CRASHED])
def test_what_belongs_to_no_round_changes_no_breaker(outcome: Outcome) -> None:
    breaker = Breaker()
    for _ in range(20):
        breaker.ended(NO_ROUND, outcome, 0)
    assert (breaker.mode, breaker.round, breaker.room(9)) == (Mode.CLOSED, 0, 9)
