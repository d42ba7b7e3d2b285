"""What a bridge tells the queue of its server and its jobs, and what it is told of the fleet."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dispatcher.cost import Usage
from testing.fake_llama_server import Chat, Reply, answer
from testing.stage import WHOLE, Stage
from testing.waiting import until

pytestmark = pytest.mark.real

TOO_LONG = "request (3000 tokens) exceeds the available context size (512 tokens)"


def timings(predicted: int, tps: float, prompt: int = 100, cached: int = 0) -> dict[str, Any]:
    return {
        "timings": {
            "cache_n": cached,
            "prompt_n": prompt,
            "prompt_ms": prompt * 1.0,
            "predicted_n": predicted,
            "predicted_ms": (predicted - 1) * 1000 / tps,
        }
    }


def answer_at(tps: float) -> Reply:
    """`WHOLE`, and it says that its 50 tokens came that fast."""

    async def reply(chat: Chat) -> None:
        await chat.say("Hello")
        await asyncio.sleep(0.05)
        await chat.say(" world", **timings(50, tps))
        await chat.finish(prompt=100, completion=50)

    return reply


async def hang_in_the_prompt(chat: Chat) -> None:
    await chat.progress(processed=1000, cache=1000, total=9000)
    await chat.progress(processed=5000, cache=1000, total=9000)
    await chat.hang()


async def hang_midway(chat: Chat) -> None:
    await chat.progress(processed=9000, cache=1000)
    await chat.say("Hello", **timings(300, 50, prompt=8000, cached=1000))
    await chat.hang()


async def refuse_as_too_long(chat: Chat) -> None:
    fields = {"type": "exceed_context_size_error", "n_prompt_tokens": 3000, "n_ctx": 512}
    await chat.refuse(400, TOO_LONG, **fields)


def has_job(stage: Stage, **fields: str) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return any(fields.items() <= job.items() for job in await stage.jobs())

    return check


def used(usage: Usage) -> dict[str, str]:
    return {
        "prompt_tokens": str(usage.prompt),
        "completion_tokens": str(usage.completion),
        "cached_tokens": str(usage.cached),
        "cost": str(usage.cost),
    }


async def test_complete_answer_costs_what_the_server_counted(stage: Stage) -> None:
    async def reply(chat: Chat) -> None:
        await chat.say("Hello world", **timings(7, 50, prompt=40, cached=60))
        await chat.finish(prompt=100, completion=7, cached=60)

    stage.script.append(reply)
    async with stage.bridged(stage.server()):
        assert await stage.text() == WHOLE
        await until(has_job(stage, state="done", **used(Usage(100, 7, 60))))


@pytest.mark.parametrize(
    ("reply", "usage"),
    [(hang_in_the_prompt, Usage(5000, 0, 1000)), (hang_midway, Usage(9000, 300, 1000))],
)
async def test_answer_is_charged_while_it_runs_and_when_it_is_cancelled(
    stage: Stage, reply: Reply, usage: Usage
) -> None:
    stage.script.append(reply)
    async with stage.bridged(stage.server()):
        asking = asyncio.create_task(stage.ask(max_tokens=10))
        await until(has_job(stage, state="running", estimate=str(usage.cost)))
        asking.cancel()
        await until(has_job(stage, state="cancelled", **used(usage)))


async def test_attempt_that_is_given_back_costs_nothing(stage: Stage) -> None:
    async def break_off(chat: Chat) -> None:
        await chat.say("Hello", **timings(300, 50, prompt=8000, cached=1000))

    async def reply(chat: Chat) -> None:
        await chat.say("Hello world")
        await chat.finish(prompt=10, completion=2)

    stage.script.extend([break_off, reply])
    async with stage.bridged(stage.server()):
        assert await stage.text() == WHOLE
        await until(has_job(stage, state="done", **used(Usage(10, 2))))


async def test_redis_knows_what_the_server_is(stage: Stage) -> None:
    server = stage.server(context=512, modalities=("vision", "audio"), process="p1")
    async with stage.bridged(server):
        told = {"context": "512", "modalities": "audio,vision", "process": "p1"}
        assert await stage.knows(server, **told, prompt_tps="0.0", decode_tps="0.0")()


async def test_speed_is_told_and_forgotten_when_the_server_restarts(stage: Stage) -> None:
    """At once: with a lease of 240 s the next renewal would be a minute away."""
    server = stage.server(process="p1")
    server.reply = answer_at(49)
    async with stage.bridged(server, lease_s=240):
        assert await stage.text() == WHOLE
        server.slots = 3
        await until(stage.knows(server, slots="3", prompt_tps="1000.0", decode_tps="49.0"))
        server.process = "p2"
        await until(stage.knows(server, process="p2", prompt_tps="0.0", decode_tps="0.0"))
        assert await stage.text() == WHOLE


def other_words() -> list[dict[str, str]]:
    """The beginning of a conversation that no worker has in its cache."""
    return [{"role": "user", "content": secrets.token_hex(3)}]


async def test_slow_worker_leaves_jobs_to_a_faster_one(stage: Stage) -> None:
    fast, slow = stage.server(), stage.server()
    fast.reply, slow.reply = answer_at(500), answer_at(20)
    fast.slots, slow.slots = 4, 1
    async with stage.bridged(slow):
        assert await stage.text() == WHOLE
        async with stage.bridged(fast):
            while not fast.chats:  # until it is measured, it takes what it gets
                asked = [stage.text(messages=other_words()) for _ in range(2)]
                await asyncio.gather(*asked)
            await until(stage.knows(fast, decode_tps="500.0"))
            await until(stage.knows(slow, decode_tps="20.0"))
            await asyncio.sleep(1.2)  # each looks once more at the other's speed
            before = len(slow.chats), len(fast.chats)
            for _ in range(6):
                assert await stage.text(messages=other_words()) == WHOLE
                await asyncio.sleep(0.2)  # the faster one can do all of it
            assert (len(slow.chats), len(fast.chats)) == (before[0], before[1] + 6)
        assert await stage.text() == WHOLE


@pytest.mark.parametrize("stream", [False, True])
async def test_prompt_that_is_too_long_waits_for_a_larger_worker(
    stage: Stage, stream: bool
) -> None:
    begun, let_go = asyncio.Event(), asyncio.Event()

    async def answer_late(chat: Chat) -> None:
        begun.set()
        await let_go.wait()
        await answer(chat)

    small, large = stage.server(context=512), stage.server(context=4096)
    small.reply = refuse_as_too_long
    large.slots = 1
    stage.script.append(answer_late)
    async with stage.bridged(large):
        occupying = asyncio.create_task(stage.text())
        await begun.wait()
        async with stage.bridged(small):
            asking = asyncio.create_task(stage.events() if stream else stage.text())
            await until(has_job(stage, state="queued", **{"class": "context>512"}))
            let_go.set()
            assert await occupying == WHOLE
            shown = await asking
            assert shown[-1] == "[DONE]" if stream else shown == WHOLE
            assert len(small.chats) == 1
            assert await has_job(stage, state="done", attempts="1", **{"class": "context>512"})()


async def test_prompt_that_is_too_long_for_all_is_refused_in_the_servers_words(
    stage: Stage,
) -> None:
    first, second = stage.server(context=512), stage.server(context=512)
    first.reply = second.reply = refuse_as_too_long
    async with stage.bridged(first), stage.bridged(second):
        response = await stage.ask()
        assert response.status_code == 400
        assert response.json()["error"]["message"] == TOO_LONG
        assert len(first.chats) + len(second.chats) == 1


async def test_prompt_that_is_too_long_for_all_is_refused_where_the_largest_says_so(
    stage: Stage,
) -> None:
    small, large = stage.server(context=512), stage.server(context=1024)
    small.reply = large.reply = refuse_as_too_long
    async with stage.bridged(small), stage.bridged(large):
        assert (await stage.ask()).status_code == 400
        assert len(small.chats) <= 1
        assert len(large.chats) == 1
