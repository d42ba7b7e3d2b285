"""A bridge between a real Redis and a scripted llama-server, seen by a client of a real API."""

import asyncio
import json
import logging
from contextlib import suppress

import pytest

import worker_bridge.health_monitor as health
from testing.desk import Desk
from testing.fake_llama_server import Chat, Reply, answer
from testing.replies import break_off, break_off_midway, compute_error, hang_midway, say_the_rest
from testing.stage import QUESTION, WHOLE, Stage
from testing.waiting import until

pytestmark = pytest.mark.real


async def break_off_after_headers(chat: Chat) -> None:
    await chat.raw(b":\n\n")


async def end_midway(chat: Chat) -> None:
    await chat.say("Hello")
    await chat.end_body()


async def fail_at_once(chat: Chat) -> None:
    await chat.fail("Compute error.")


async def fail_midway(chat: Chat) -> None:
    await chat.say("Hello")
    await chat.fail("Context size has been exceeded.")


async def load(chat: Chat) -> None:
    await chat.refuse(503, "Loading model")


async def hang(chat: Chat) -> None:
    await chat.hang()


async def ping_for_ever(chat: Chat) -> None:
    await chat.say("Hello")
    while True:
        await chat.raw(b":\n\n")
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("fault", [break_off, break_off_after_headers, fail_at_once, compute_error])
@pytest.mark.parametrize("stream", [False, True])
async def test_worker_that_fails_before_it_shows_anything_is_replaced_by_another(
    stage: Stage, fault: Reply, stream: bool
) -> None:
    first, second = stage.server(), stage.server()
    stage.script.append(fault)
    async with stage.bridged(first), stage.bridged(second):
        if stream:
            assert (await stage.events())[-1] == "[DONE]"
        else:
            assert await stage.text() == WHOLE
    assert (len(first.chats), len(second.chats)) == (1, 1)


@pytest.mark.parametrize("fault", [compute_error, break_off])
async def test_worker_that_failed_leaves_the_second_try_to_another(
    stage: Stage, fault: Reply
) -> None:
    """Also where it is the first in the row of those who wait for the bell."""

    async def answer_late(chat: Chat) -> None:
        await asyncio.sleep(1)
        await answer(chat)

    async def fail_late(chat: Chat) -> None:
        await asyncio.sleep(1.2)
        await fault(chat)

    first, second = stage.server(), stage.server()
    stage.script.extend([answer_late, fail_late])
    async with stage.bridged(first), stage.bridged(second):
        assert await stage.text() == WHOLE
        before = len(first.chats), len(second.chats)
        assert await stage.text() == WHOLE
    assert (len(first.chats), len(second.chats)) == (before[0] + 1, before[1] + 1)


@pytest.mark.parametrize("fault", [break_off_midway, end_midway, fail_midway])
async def test_answer_that_is_not_streamed_is_made_again_from_the_start(
    stage: Stage, fault: Reply
) -> None:
    stage.script.append(fault)
    async with stage.bridged(stage.server()):
        assert await stage.text() == WHOLE


@pytest.mark.parametrize("fault", [break_off_midway, end_midway, fail_midway])
async def test_stream_that_breaks_goes_on_at_another_server(stage: Stage, fault: Reply) -> None:
    stage.script.extend([fault, say_the_rest])
    first, second = stage.server(), stage.server()
    async with stage.bridged(first), stage.bridged(second):
        *shown, last = await stage.events()
        job = (await stage.jobs())[0]
    assert (job["state"], job["attempts"]) == ("done", "2")
    assert last == "[DONE]"
    texts = [c["delta"].get("content", "") for e in shown for c in json.loads(e)["choices"]]
    assert "".join(texts) == WHOLE
    (rest,) = [chat for chat in first.chats + second.chats if "continue_final_message" in chat]
    assert rest["messages"][-1] == {"role": "assistant", "content": "Hello"}
    assert (len(first.chats), len(second.chats)) == (1, 1)


@pytest.mark.parametrize("fault", [break_off_midway, end_midway, fail_midway])
async def test_stream_that_breaks_and_can_t_go_on_ends_in_one_error_event(
    stage: Stage, fault: Reply
) -> None:
    stage.script.append(fault)
    server = stage.server()
    async with stage.bridged(server):
        *shown, last = await stage.events(grammar="root ::= [a-zA-Z ]+")
        await until(stage.has_job("cancelled"))
    assert len(server.chats) == 1
    error = json.loads(last)["error"]
    assert (error["code"], "`grammar`" in error["message"]) == ("worker_failed", True)
    assert "Hello" in shown[0]
    assert not any("error" in event for event in shown)


async def test_stream_that_breaks_twice_for_a_crash_ends_in_one_error_event(stage: Stage) -> None:
    stage.script.extend([break_off_midway] * 2)
    async with stage.bridged(stage.server()), stage.bridged(stage.server()):
        *shown, last = await stage.events()
        assert (await stage.jobs())[0]["state"] == "failed"
    assert "2 have failed" in json.loads(last)["error"]["message"]
    assert [json.loads(e)["choices"][0]["delta"]["content"] for e in shown] == ["Hello"] * 2


async def test_loading_server_costs_the_job_no_attempt(stage: Stage) -> None:
    stage.script.extend([load] * 5)
    server = stage.server()
    async with stage.bridged(server):
        assert await stage.text() == WHOLE
        assert (await stage.jobs())[0]["attempts"] == "1"
    assert len(server.chats) == 6


async def test_request_that_fails_everywhere_fails_after_three_attempts(stage: Stage) -> None:
    stage.script.extend([compute_error] * 9)
    server = stage.server()
    async with stage.bridged(server):
        response = await stage.ask()
    assert (response.status_code, len(server.chats)) == (502, 3)
    assert "Compute error." in response.json()["error"]["message"]


async def test_unknown_error_that_comes_twice_is_the_answer(stage: Stage) -> None:
    async def refuse(chat: Chat) -> None:
        await chat.refuse(500, "unknown template function")

    stage.script.extend([refuse] * 9)
    first, second = stage.server(), stage.server()
    async with stage.bridged(first), stage.bridged(second):
        response = await stage.ask()
    assert (response.status_code, len(first.chats) + len(second.chats)) == (500, 2)
    assert response.json()["error"]["message"] == "unknown template function"
    assert response.headers["x-should-retry"] == "false"


async def test_unknown_error_that_another_worker_does_not_have_is_a_workers_fault(
    stage: Stage,
) -> None:
    async def refuse(chat: Chat) -> None:
        await chat.refuse(500, f"unknown error {len(stage.script)}")

    stage.script.extend([refuse, refuse, answer])
    async with stage.bridged(stage.server()):
        assert await stage.text() == WHOLE


async def test_request_that_crashes_two_servers_fails(stage: Stage) -> None:
    stage.script.extend([break_off] * 9)
    server = stage.server()
    async with stage.bridged(server):
        response = await stage.ask()
    assert (response.status_code, len(server.chats)) == (502, 2)


async def test_refusal_of_the_request_reaches_the_client(stage: Stage) -> None:
    async def refuse(chat: Chat) -> None:
        await chat.refuse(400, "the grammar is wrong")

    stage.script.append(refuse)
    server = stage.server()
    async with stage.bridged(server):
        response = await stage.ask()
    assert (response.status_code, len(server.chats)) == (400, 1)
    assert response.json()["error"]["message"] == "the grammar is wrong"


async def test_server_that_wants_another_key_gets_no_work_until_it_is_right(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = stage.server()
    server.key = "right"
    async with stage.bridged(server):
        assert await stage.text() == WHOLE
        server.key = "changed"
        asked = asyncio.create_task(stage.text())
        await until(stage.has_health("misconfigured"))
        assert "health=misconfigured" in caplog.text
        assert len(server.chats) == 1
        server.key = "right"
        assert await asked == WHOLE


async def test_server_that_now_has_another_model_serves_that_one(stage: Stage) -> None:
    async def answer_of_another_model(chat: Chat) -> None:
        await chat.say("Something else")
        await chat.finish()

    server = stage.server()
    stage.script.append(answer_of_another_model)
    async with stage.bridged(server):
        server.model = f"{stage.model}-2"
        asked = asyncio.create_task(stage.text())
        await until(lambda: stage.workers(server.model))
        assert await stage.text(model=server.model) == WHOLE
        assert not (await stage.jobs())[0].get("visible")
        async with stage.bridged(stage.server()):
            assert await asked == WHOLE


async def test_model_can_be_served_under_another_name(stage: Stage) -> None:
    server = stage.server()
    server.model = "/models/file.gguf"
    async with stage.bridged(server, model=stage.model):
        events = await stage.events()
    assert {json.loads(event)["model"] for event in events[:-1]} == {stage.model}


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"_TICK_S": 0.1, "_ENGINE_QUIET_S": 1, "_ENGINE_S": 0.5}.items():
        monkeypatch.setattr(health, name, seconds)


@pytest.mark.usefixtures("looks_often")
async def test_wedged_engine_gets_no_work(stage: Stage) -> None:
    """Also while requests come and go: that they reach it says nothing of its engine."""

    async def keep_asking() -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(stage.ask(), 0.3)

    server = stage.server()
    server.slots = 8
    stage.script.extend([hang] * 100)
    async with stage.bridged(server):
        server.hanging.add("/slots")
        asking = asyncio.create_task(keep_asking())
        await until(stage.has_health("wedged"))
        asking.cancel()
        server.hanging.clear()
        await until(stage.has_workers(1))


@pytest.mark.usefixtures("looks_often")
async def test_first_job_of_a_server_that_was_wedged_while_it_had_none_is_done_by_another(
    stage: Stage,
) -> None:
    stage.script.append(hang)
    wedged, sound = stage.server(process="p1"), stage.server(process="p2")
    sound.slots = 0
    async with stage.bridged(wedged), stage.bridged(sound):
        wedged.hanging.add("/slots")
        asked = asyncio.create_task(stage.text())
        await until(stage.knows(wedged, health="wedged"))
        sound.slots = 1
        assert await asked == WHOLE
        assert (len(wedged.chats), len(sound.chats)) == (1, 1)
        assert {job["attempts"] for job in await stage.jobs()} == {"1"}


@pytest.mark.parametrize("fault", [hang_midway, ping_for_ever])
async def test_answer_that_stands_still_is_made_by_another_worker(
    stage: Stage, fault: Reply
) -> None:
    stage.script.append(fault)
    first, second = stage.server(), stage.server()
    async with stage.bridged(first, stall_token_s=0.5), stage.bridged(second, stall_token_s=0.5):
        assert await stage.text() == WHOLE
        assert first.busy + second.busy == 0


async def test_stream_that_stands_still_goes_on_elsewhere(stage: Stage) -> None:
    stage.script.append(hang_midway)
    first, second = stage.server(), stage.server()
    async with stage.bridged(first, stall_token_s=0.5), stage.bridged(second, stall_token_s=0.5):
        assert (await stage.events())[-1] == "[DONE]"
    assert {len(first.chats), len(second.chats)} == {1}


async def hang_in_the_prompt(chat: Chat) -> None:
    await chat.progress(processed=10, total=20)
    await chat.hang()


async def hang_before_the_first_token(chat: Chat) -> None:
    await chat.progress(processed=20, total=20)
    await chat.hang()


@pytest.mark.parametrize(
    ("fault", "limit", "message"),
    [
        (hang, "stall_prompt_s", "it gave no slot for"),
        (hang_in_the_prompt, "stall_prompt_s", "it gave no progress of its prompt for"),
        (hang_before_the_first_token, "stall_first_token_s", "it gave no first token for"),
        (hang_midway, "stall_token_s", "it gave no next token for"),
    ],
)
async def test_each_kind_of_stall_has_its_own_limit_and_is_told(
    stage: Stage, fault: Reply, limit: str, message: str
) -> None:
    stage.script.append(fault)
    server = stage.server()
    async with stage.bridged(server, **{limit: 0.5}):
        assert await stage.text() == WHOLE
        stage.script.extend([fault] * 3)
        response = await stage.ask()
        assert response.status_code == 502
        assert message in response.json()["error"]["message"]


async def test_prompt_that_moves_on_may_take_longer_than_any_limit(stage: Stage) -> None:
    async def think(chat: Chat) -> None:
        for part in range(10):
            await chat.progress(processed=part, total=20)
            await asyncio.sleep(0.3)
        await answer(chat)

    stage.script.append(think)
    server = stage.server()
    limits = {"stall_prompt_s": 2, "stall_first_token_s": 2, "stall_token_s": 2}
    async with stage.bridged(server, **limits):
        assert await stage.text() == WHOLE
    assert len(server.chats) == 1


async def test_slots_are_followed_when_the_server_restarts(stage: Stage) -> None:
    async def slots() -> int:
        workers = await stage.workers()
        return workers[0].slots if len(workers) == 1 and workers[0].accepting else 0

    async def has_one() -> bool:
        return await slots() == 1

    server = stage.server()
    async with server.running():
        pass
    async with stage.bridge(server):
        async with server.running():
            await until(stage.has_workers(1))
            assert await slots() == 2
        await until(stage.has_health("down"))
        server.slots = 1
        async with server.running():
            await until(has_one)


async def test_server_that_is_still_loading_is_not_joined(stage: Stage) -> None:
    server = stage.server()
    server.loading = True
    async with server.running(), stage.bridge(server):
        await until(lambda: len(server.looks) > 2)
        assert not await stage.workers()
        server.loading = False
        await until(stage.has_workers(1))


async def test_job_whose_api_was_taken_for_dead_is_given_back(stage: Stage) -> None:
    """The API may be back by then, and would take `cancelled` for its answer."""
    stage.script.append(hang_midway)
    async with stage.bridged(stage.server()):
        desk = Desk(stage.redis, stage.model)
        await desk.heartbeat("a")
        await desk.enqueue("j1", body=json.dumps(QUESTION | {"stream": True}).encode())
        await until(stage.has_job("running"))
        await desk.redis.zrem(desk.keys.named("apis"), "a")
        await until(stage.has_job("abandoned"))
