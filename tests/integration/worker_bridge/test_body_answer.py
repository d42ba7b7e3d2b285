"""Answers that are one JSON value: how they pass a bridge, and what becomes of broken ones."""

import asyncio
import json
import random
from typing import Any

import pytest

import worker_bridge.foreign as foreign
import worker_bridge.health_monitor as health
from dispatcher.cost import Usage
from dispatcher.frames import Kind, unpack
from dispatcher.job import Claim
from dispatcher.outgoing import Outgoing
from testing.ends import Speaker
from testing.fake_llama_server import Chat, FakeLlamaServer, Reply, answer
from testing.stage import WHOLE, Stage
from testing.waiting import until
from worker_bridge.body_answer import BodyAnswer
from worker_bridge.ends import End, Result

pytestmark = pytest.mark.real

USAGE = b'"usage":{"prompt_tokens":123,"total_tokens":123}'
ITEMS = b'"data":[{"embedding":[0.5,-1e-05],"index":0,"object":"embedding"}]'
ANSWER = b'{"model":"a \\"name\\"","object":"list",' + USAGE + b"," + ITEMS + b"}"
SORTED = b"{" + ITEMS + b',"model":"m","object":"list",' + USAGE + b"}"  # as builds before 2026
LARGE_BYTES = 30 * 10**6


def answer_to(status: int, *pieces: bytes) -> tuple[bytes, Result, BodyAnswer]:
    """What the API gets, how the attempt ends, and the answer, for a request of 400 bytes."""
    outgoing = Outgoing(Claim("j", "j:1", "a", frozenset(), 9, 1), Speaker(), lambda *_: None)
    answer = BodyAnswer(frozenset(), outgoing, "id of model", "m")
    answer.asked(400)
    answer.begin(status)
    for piece in pieces:
        assert answer.take(piece) is None
    result = answer.end()
    frames = unpack(outgoing.pack().frames)
    shown = b"".join(frame.payload for frame in frames if frame.kind is Kind.CHUNK)
    return shown, result, answer


@pytest.mark.parametrize("whole", [ANSWER, SORTED, ANSWER + b" " * 3000, b" " * 3000 + SORTED])
def test_answer_passes_as_it_is_however_it_was_cut(whole: bytes) -> None:
    done = Result(End.DONE, b'{"prompt_tokens": 123, "completion_tokens": 0, "cached_tokens": 0}')
    halves = [[whole[:at], whole[at:]] for at in range(1, len(whole))]
    chance = random.Random(1)  # noqa: S311
    for _ in range(20):
        cuts = sorted(chance.sample(range(1, len(whole)), 20))
        halves.append([whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)])
    for pieces in halves:
        assert answer_to(200, *pieces)[:2] == (whole, done)


def test_answer_that_tells_no_usage_costs_by_the_size_of_its_request() -> None:
    _, result, answer = answer_to(200, b'[{"index":0,"embedding":[[0.5]]}]')
    assert result == Result(
        End.DONE, b'{"prompt_tokens": 100, "completion_tokens": 0, "cached_tokens": 0}'
    )
    assert answer.meter.usage == Usage(100)


@pytest.mark.parametrize(
    ("status", "end"), [(400, End.REJECTED), (501, End.REJECTED), (500, End.UNSURE)]
)
def test_refusal_costs_nothing(status: int, end: End) -> None:
    shown, result, answer = answer_to(status, b'{"error":{"message":', b'"no"}}')
    assert (shown, result.end, answer.meter.usage) == (b"", end, Usage())
    assert b"no" in result.payload


def test_answer_that_breaks_off_is_a_crash_and_was_paid_for() -> None:
    outgoing = Outgoing(Claim("j", "j:1", "a", frozenset(), 9, 1), Speaker(), lambda *_: None)
    answer = BodyAnswer(frozenset(), outgoing, "m", "m")
    answer.asked(400)
    assert answer.meter.usage == Usage(100)
    answer.begin(200)
    answer.take(ANSWER[:-1])
    assert answer.break_off("it ended").end is End.CRASHED


def embedder(stage: Stage, **about: Any) -> FakeLlamaServer:
    server = stage.server(process="p1", **about)
    server.endpoints = {"/v1/embeddings"}
    return server


def vectors(size_bytes: int) -> Reply:
    async def reply(chat: Chat) -> None:
        body = answer_of(size_bytes)
        await chat.whole(*(body[at : at + 65_536] for at in range(0, len(body), 65_536)))

    return reply


def answer_of(size_bytes: int) -> bytes:
    head = b'{"model":"m","object":"list",' + USAGE + b',"data":[{"embedding":['
    return head + b"0.125," * (size_bytes // 6) + b'0.5],"index":0,"object":"embedding"}]}'


async def embed(stage: Stage, **fields: Any) -> Any:
    return await stage.post("/v1/embeddings", **{"input": "a", **fields})


async def test_large_answer_passes_and_little_of_it_waits_in_the_bridge(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = [0]
    add_text = Outgoing.add_text

    def add(self: Outgoing, *about: Any) -> None:
        add_text(self, *about)
        waiting.append(self.bytes)

    monkeypatch.setattr(Outgoing, "add_text", add)
    stage.script.append(vectors(LARGE_BYTES))
    async with stage.bridged(embedder(stage)):
        answer = await embed(stage)
    assert answer.status_code == 200, answer.text
    name = b'"model":' + json.dumps(stage.model).encode()
    assert answer.content == answer_of(LARGE_BYTES).replace(b'"model":"m"', name)
    assert max(waiting) < 2 * 2**20
    assert len(waiting) > 30


async def test_broken_answer_is_given_whole_by_another_worker(stage: Stage) -> None:
    async def break_off(chat: Chat) -> None:
        await chat.whole(ANSWER, size=len(ANSWER) + 1)

    stage.script.extend([break_off, vectors(60)])
    async with stage.bridged(embedder(stage)), stage.bridged(embedder(stage)):
        answer = await embed(stage)
    assert (answer.status_code, answer.json()["data"][0]["embedding"][-1]) == (200, 0.5)
    assert answer.content.count(b'"model"') == 1


async def test_refusal_is_the_answer(stage: Stage) -> None:
    async def refuse(chat: Chat) -> None:
        await chat.refuse(400, "Prompt contains invalid tokens", type="invalid_request_error")

    stage.script.append(refuse)
    async with stage.bridged(embedder(stage)):
        answer = await embed(stage)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "Prompt contains invalid tokens"


async def test_answer_without_vectors_is_an_error(stage: Stage) -> None:
    async def say_little(chat: Chat) -> None:
        await chat.whole(b'{"model":"m","data":[]}')

    stage.script.append(say_little)
    async with stage.bridged(embedder(stage)):
        answer = await embed(stage)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "worker_failed")


async def test_request_whose_client_leaves_is_paid_for_and_keeps_its_slot_until_it_is_free(
    stage: Stage,
) -> None:
    async def go_on(chat: Chat) -> None:
        server.busy += 1  # llama-server does not notice
        await chat.hang()

    stage.script.append(go_on)
    server = embedder(stage)
    server.slots = 1
    async with stage.bridged(server):
        asked = asyncio.create_task(embed(stage, input="x" * 4000))
        await until(lambda: len(server.chats) == 1)
        asked.cancel()
        next_one = asyncio.create_task(stage.text())
        await until(lambda: "/slots" in server.looks and server.busy == 1)
        assert len(server.chats) == 1
        server.busy = 0
        assert await next_one == WHOLE
        (job,) = [job for job in await stage.jobs() if job["state"] == "cancelled"]
        assert int(job["prompt_tokens"]) == pytest.approx(1000, abs=30)


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_TICK_S", "_EVERY_S", "_EVERY_WHILE_SHARED_S", "_AGAIN_S"):
        monkeypatch.setattr(foreign, name, 0.1)
    monkeypatch.setattr(health, "_ENGINE_QUIET_S", 0.2)


@pytest.mark.usefixtures("looks_often")
async def test_slots_of_a_request_that_has_several_are_none_of_others(stage: Stage) -> None:
    over = asyncio.Event()

    async def embed_in_all_slots(chat: Chat) -> None:
        server.busy += 3
        await over.wait()
        server.busy -= 3
        await vectors(60)(chat)

    stage.script.append(embed_in_all_slots)
    server = embedder(stage)
    server.slots = 4
    async with stage.bridged(server):
        asked = asyncio.create_task(embed(stage))
        await until(lambda: server.busy == 4)
        server.looks.clear()
        await until(lambda: server.looks.count("/slots") >= 4)
        assert await stage.knows(server, slots="4", foreign="0")()
        assert await stage.text() == WHOLE
        over.set()
        assert (await asked).status_code == 200
        server.busy += 1
        stage.script.append(_hold(asyncio.Event()))
        asked = asyncio.create_task(stage.text())
        await until(stage.knows(server, foreign="1"))
        asked.cancel()


@pytest.mark.usefixtures("looks_often")
async def test_request_may_take_long_while_the_engine_answers(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async def take_long(chat: Chat) -> None:
        await asyncio.sleep(1.2)
        await vectors(60)(chat)

    async def begin_late(chat: Chat) -> None:
        await asyncio.sleep(1)
        await answer(chat)

    server = embedder(stage)
    stage.script.extend([take_long, begin_late])
    server.reply = Chat.hang
    async with stage.bridged(server, stall_prompt_s=0.6, lease_s=2):
        first = asyncio.create_task(embed(stage))
        await until(lambda: len(server.chats) == 1)
        assert await stage.text() == WHOLE  # though it waits for a slot for as long
        assert (await first).status_code == 200
        assert len(server.chats) == 2
        asked = asyncio.create_task(embed(stage))
        await until(lambda: len(server.chats) == 3)
        server.hanging.add("/slots")
        await until(stage.has_health("wedged"))
        assert "stood still: it gave no whole answer" in caplog.text
        asked.cancel()


def _hold(over: asyncio.Event) -> Reply:
    async def reply(chat: Chat) -> None:
        await chat.say("Hi")
        await over.wait()

    return reply
