"""Whose fault it is: what a client asks counts against no server, what a server does is bounded."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

import worker_bridge.health_monitor as health
import worker_bridge.recovery as recovery
from llamaq.demo_model import write_demo_model
from testing.fake_llama_server import OWN, Chat, Reply
from testing.processes import LlamaServer, free_port
from testing.stage import WHOLE, Stage
from testing.waiting import until
from worker_bridge.health import ProbeResult
from worker_bridge.llama import LlamaServer as Llama

pytestmark = pytest.mark.real

UNREADABLE = "The model produced output that does not match the expected peg-native format"
# llama.cpp knows templates like this one by their first words, and says what they raise with 500.
TEMPLATE = (
    "{# <|channel|> <|start|> #}"
    "{% for message in messages %}"
    "{% if message.content == 'bad' %}{{ raise_exception('Only good words.') }}{% endif %}"
    "{% if message.content == 'none' %}{{ message.nothing | tojson }}{% endif %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}<|im_start|>assistant\n"
)
READABLE = 'root ::= "<|start|>assistant<|channel|>final<|message|>" [a-z]'


@pytest.fixture(autouse=True)
def asks_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "_TICK_S", 0.05)
    monkeypatch.setitem(health._DISTRUST_S, health.Health.MISCONFIGURED, 0.1)
    monkeypatch.setitem(health._DISTRUST_S, health.Health.OVERLOADED, 0.1)


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


async def breakers(stage: Stage) -> list[tuple[str, bool]]:
    return [(worker.breaker, worker.accepting) for worker in await stage.workers()]


async def refuse_what_is_bad(chat: Chat) -> None:
    """In words that tell nobody whose fault it is."""
    if chat.body["messages"][0]["content"] == "bad":
        await chat.refuse(500, "unknown words")
    else:
        await chat.say(WHOLE)
        await chat.finish()


async def unreadable(chat: Chat) -> None:
    await chat.refuse(500, UNREADABLE)


async def unreadable_midway(chat: Chat) -> None:
    await chat.say("Hello")
    await chat.fail(UNREADABLE)


async def test_real_template_that_raises_is_a_400_and_no_servers_fault(
    stage: Stage, tmp_path: Path
) -> None:
    """Ten bad requests of one client, among those of a good one."""
    model = tmp_path / "strict.gguf"
    write_demo_model(model, size="tiny", template=TEMPLATE)
    async with AsyncExitStack() as parts:
        for name in ("a", "b"):
            real = LlamaServer(model, free_port(), stage.model, 2)
            parts.enter_context(real.running(tmp_path / name))
            server = stage.server()
            server.port = real.port
            await parts.enter_async_context(stage.bridge(server))
        await until(stage.has_workers(2))
        bad = [stage.ask(messages=user(word)) for word in ["bad", "none"] * 5]
        good = [stage.ask(messages=user("good"), grammar=READABLE) for _ in range(10)]
        answers = await asyncio.gather(*bad, *good)
        assert [each.status_code for each in answers] == [400] * 10 + [200] * 10
        error = answers[0].json()["error"]
        assert (error["code"], error["type"]) == ("invalid_request", "invalid_request_error")
        assert error["message"].endswith("Jinja Exception: Only good words.")
        assert {job["attempts"] for job in await stage.jobs()} == {"1"}
        unreadable = await stage.ask(messages=user("good"), max_tokens=3)
        assert (unreadable.status_code, UNREADABLE in unreadable.text) == (502, True)
        assert await breakers(stage) == [("closed", True)] * 2
        llama = Llama(server.url, None)
        assert await llama.generate(20) is ProbeResult.OK  # though a word alone fits no format


@pytest.mark.parametrize("fault", [unreadable, unreadable_midway])
async def test_answer_that_can_not_be_read_is_told_at_once(stage: Stage, fault: Reply) -> None:
    stage.script.extend([fault] * 9)
    first, second = stage.server(), stage.server()
    async with stage.bridged(first), stage.bridged(second):
        for number in range(4):
            response = await stage.ask()
            assert response.status_code == 502
            assert UNREADABLE in response.json()["error"]["message"]
            assert len(first.chats + second.chats) == number + 1
        assert await breakers(stage) == [("closed", True)] * 2


async def test_stream_that_can_no_longer_be_read_ends_in_one_error_event(stage: Stage) -> None:
    stage.script.extend([unreadable_midway] * 9)
    first, second = stage.server(), stage.server()
    async with stage.bridged(first), stage.bridged(second):
        *shown, last = await stage.events()
        assert "send the request again" in json.loads(last)["error"]["message"]
        assert ["error" in event for event in shown] == [False]
        assert len(first.chats + second.chats) == 1


async def test_what_two_servers_refuse_counts_for_neither(stage: Stage) -> None:
    first, second = stage.server(), stage.server()
    first.reply = second.reply = refuse_what_is_bad
    async with stage.bridged(first), stage.bridged(second):
        for _ in range(6):
            assert (await stage.ask(messages=user("bad"))).status_code == 500
            assert await breakers(stage) == [("closed", True)] * 2
        await until(lambda: OWN in first.looks and OWN in second.looks)
        assert await stage.text() == WHOLE
        assert await breakers(stage) == [("closed", True)] * 2


async def test_server_that_refuses_its_bridge_too_is_taken_out(stage: Stage) -> None:
    broken, sound = stage.server(), stage.server()
    async with stage.bridged(broken), stage.bridged(sound):
        broken.script, broken.broken = broken.script.copy(), True
        broken.script.extend([refuse_all] * 9)
        await _ask_until(stage, lambda: len(broken.chats) == 1)
        await until(stage.knows(broken, breaker="open", accepting="0"))
        await asyncio.gather(*(_has_text(stage) for _ in range(4)))
        assert len(broken.chats) == 1


async def refuse_all(chat: Chat) -> None:
    await chat.refuse(500, "unknown words")


@pytest.mark.parametrize("status", [408, 425, 429])
async def test_request_that_an_overloaded_server_refuses_is_done_by_another(
    stage: Stage, status: int
) -> None:
    async def refuse(chat: Chat) -> None:
        await chat.refuse(status, "Try later.")

    stage.script.append(refuse)
    first, second = stage.server(), stage.server()
    async with stage.bridged(first), stage.bridged(second):
        assert await stage.text() == WHOLE
        assert (len(first.chats), len(second.chats)) == (1, 1)
        assert [job["attempts"] for job in await stage.jobs()] == ["2"]
        await until(stage.has_workers(2))
        assert await breakers(stage) == [("closed", True)] * 2


async def not_for_us(chat: Chat) -> None:
    await chat.refuse(401, "Invalid API Key")


async def garbage(chat: Chat) -> None:
    await chat.event("garbage")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (not_for_us, "llama-server answered 401 Invalid API Key"),
        (garbage, "The server has another model now: nothing"),
    ],
)
async def test_job_that_meets_only_a_misconfigured_server_ends_with_an_error(
    stage: Stage, fault: Reply, told: str
) -> None:
    server = stage.server()
    server.reply = fault
    async with stage.bridged(server):
        response = await stage.ask()
    assert (response.status_code, len(server.chats)) == (502, 6)
    assert told in response.json()["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
async def test_answer_that_ends_without_its_last_word_is_whole(stage: Stage, stream: bool) -> None:
    async def forget_done(chat: Chat) -> None:
        await chat.say(WHOLE)
        ending = {"finish_reason": "stop", "index": 0, "delta": {}}
        chunk = {"choices": [ending], "created": 1, "id": "chatcmpl-1", "model": stage.model}
        await chat.event(json.dumps(chunk, separators=(",", ":")))
        await chat.end_body()

    server = stage.server()
    server.reply = forget_done
    async with stage.bridged(server):
        if stream:
            assert (await stage.events())[-1] == "[DONE]"
        else:
            assert await stage.text() == WHOLE
    assert len(server.chats) == 1


async def _ask_until(stage: Stage, condition: object) -> None:
    """Requests one by one, all of which are answered."""
    assert callable(condition)
    while not condition():
        await _has_text(stage)


async def _has_text(stage: Stage) -> None:
    assert await stage.text() == WHOLE
