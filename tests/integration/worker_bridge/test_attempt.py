"""What one attempt passes on of a scripted server's answer, frame by frame."""

import asyncio
import gc
import json
import weakref
from collections import deque

import pytest

from dispatcher.frames import Frame, Kind
from dispatcher.job import Claim, Want
from dispatcher.outbox import Outbox
from dispatcher.outgoing import Outgoing, Speaker
from dispatcher.worker import WorkerSession
from testing.fake_llama_server import Chat, FakeLlamaServer, Reply
from testing.processes import free_port
from testing.replies import break_off
from worker_bridge.attempt import Attempt, Served
from worker_bridge.connection import Connection
from worker_bridge.ends import End, Result
from worker_bridge.llama import LlamaServer

pytestmark = pytest.mark.real


class Collected(Outbox):
    """Keeps what would be sent, each piece as soon as it is there."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def open(self, claim: Claim, speaker: Speaker) -> Outgoing:
        return Outgoing(claim, speaker, lambda said, *_: self.frames.extend(said.take()))


class Bodies(WorkerSession):
    """Has the bodies of claims that have theirs."""

    def __init__(self) -> None:
        pass


SERVED = Served("w", "m", "m", "f1")


async def answer_slowly(chat: Chat) -> None:
    await chat.progress(processed=0, cache=2, total=9)
    await chat.progress(processed=9, cache=2, total=9)
    await chat.say("Hi")
    await chat.finish()


async def comment_before_each_event(chat: Chat) -> None:
    await chat.raw(b":\n: alive\n")
    await chat.say("Hi")
    await chat.raw(b":\n")
    await chat.finish()


async def end_of(claim: Claim, outbox: Outbox, url: str, model: str = "m") -> Result:
    """How an attempt at this claim ends."""
    end: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

    def ended(_: Attempt, how: Result | Exception) -> None:
        assert isinstance(how, Result)
        end.set_result(how)

    attempt = Attempt(claim, Served("w", model, "m", "f1"), outbox, ended)
    attempt.begin(LlamaServer(url, None), Bodies())
    return await end


async def frames(
    *wants: Want, model: str = "m", reply: Reply = answer_slowly
) -> list[tuple[str, list[str]]]:
    """The kinds of the frames of such an answer, each with the data of its events."""
    outbox = Collected()
    claim = Claim("j", "j:1", "a", frozenset(wants), left_s=9, queue_ms=1, body=b"{}")
    async with FakeLlamaServer("m", deque([reply])).running() as server:
        result = await end_of(claim, outbox, server.url, model)
    assert result.end is End.DONE
    return [
        (f.kind.value, f.payload.decode().removesuffix("\n\n").split("\n\n"))
        for f in outbox.frames[1:]
    ]


def data(event: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(event.removeprefix("data: "))
    return found


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_attempt_that_is_paused_before_it_begins_reads_nothing_until_it_goes_on(
    host: str,
) -> None:
    outbox, ends = Collected(), asyncio.Queue[Result | Exception]()
    claim = Claim("j", "j:1", "a", frozenset({Want.STREAM}), left_s=9, queue_ms=1, body=b"{}")
    async with FakeLlamaServer("m", deque([answer_slowly])).running() as server:
        attempt = Attempt(claim, SERVED, outbox, lambda _, how: ends.put_nowait(how))
        attempt.pause()
        attempt.begin(LlamaServer(server.url.replace("127.0.0.1", host), None), Bodies())
        await asyncio.sleep(0.1)  # what comes would be there
        assert [frame.kind for frame in outbox.frames] == [Kind.STARTED]
        attempt.resume()
        end = await asyncio.wait_for(ends.get(), 30)
    assert isinstance(end, Result)
    assert end.end is End.DONE


async def test_size_of_the_prompt_is_told_once_to_those_who_stream() -> None:
    prompt, *others = await frames(Want.STREAM)
    assert prompt[0] == "prompt"
    told = {"total": 9, "cache": 2, "processed": 0, "time_ms": 0}
    assert data(prompt[1][0])["prompt_progress"] == told
    assert [kind for kind, _ in others] == ["chunk"] * 2
    assert {kind for kind, _ in await frames(Want.USAGE)} == {"chunk"}


async def test_comment_directly_before_an_event_is_left_out_and_the_event_is_not() -> None:
    chunks = await frames(Want.STREAM, reply=comment_before_each_event)
    assert [kind for kind, _ in chunks] == ["chunk"] * 2
    assert all(event.startswith("data: {") for _, events in chunks for event in events)


async def test_last_chunk_and_usage_are_one_frame_under_the_name_of_the_model() -> None:
    *_, (kind, (last, usage)) = await frames(Want.STREAM, Want.USAGE, model="mine")
    assert kind == Kind.CHUNK
    assert '"finish_reason":"stop"' in last
    assert data(usage)["choices"] == []
    assert data(last)["model"] == data(usage)["model"] == "mine"


async def test_last_chunk_comes_without_a_usage_that_nobody_asked_for() -> None:
    *_, (kind, (last,)) = await frames(Want.STREAM)
    assert (kind, '"finish_reason":"stop"' in last) == ("chunk", True)


async def test_usage_that_a_broken_connection_took_along_is_made_up_for() -> None:
    async def break_off(chat: Chat) -> None:
        timings = {"cache_n": 2, "prompt_n": 7, "predicted_n": 3}
        await chat.say("Hi", timings=timings)
        await chat.event(chat._chunk(choices=[{"finish_reason": "stop", "delta": {}}]))

    *_, (_, (last, usage)) = await frames(Want.USAGE, reply=break_off, model="mine")
    assert data(last)["choices"]
    assert data(usage)["choices"] == []
    assert data(usage)["usage"] == {
        **{"completion_tokens": 3, "prompt_tokens": 9, "total_tokens": 12},
        "prompt_tokens_details": {"cached_tokens": 2},
    }


async def ends(server_url: str) -> Result:
    claim = Claim("j", "j:1", "a", frozenset(), left_s=9, queue_ms=1, body=b"{}")
    return await end_of(claim, Collected(), server_url)


async def test_request_that_nobody_took_is_told_from_one_that_was_lost() -> None:
    assert (await ends(f"http://127.0.0.1:{free_port()}")).end is End.NOT_REACHED
    async with FakeLlamaServer("m", deque([break_off])).running() as server:
        assert (await ends(server.url)).end is End.CRASHED


async def test_event_is_whole_however_it_was_cut_on_the_way() -> None:
    async def cut(chat: Chat) -> None:
        text = chat._chunk(choices=[{"finish_reason": None, "delta": {"content": "Hi"}}])
        for byte in f"data: {text}\n\n:\n\ndata: [DONE]\n\nrest".encode():
            await chat.raw(bytes([byte]))
        await chat.end_body()

    ((kind, (event,)),) = await frames(Want.STREAM, reply=cut)
    assert (kind, data(event)["model"]) == ("chunk", "m")


async def test_attempt_that_is_over_is_freed_at_once() -> None:
    """Else its request would stay until the collector comes, and that would often come."""
    claim = Claim("j", "j:1", "a", frozenset(), left_s=9, queue_ms=1, body=b"{}")
    end = asyncio.Event()
    async with FakeLlamaServer("m", deque([answer_slowly])).running() as server:
        attempt = Attempt(claim, SERVED, Collected(), lambda *_: end.set())
        attempt.begin(LlamaServer(server.url, None), Bodies())
        parts = [weakref.ref(attempt), weakref.ref(attempt._connection)]
        gc.disable()
        try:
            await end.wait()
            attempt.let_go()
            del attempt
            assert [part() for part in parts] == [None, None]
        finally:
            gc.enable()


async def test_fault_that_nobody_thought_of_ends_the_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fault = RuntimeError("the event loop is odd")
    claim = Claim("j", "j:1", "a", frozenset(), left_s=9, queue_ms=1, body=b"{}")
    ends: list[Result | Exception] = []

    def fail(_: Connection) -> None:
        raise fault

    monkeypatch.setattr(Connection, "open", fail)
    attempt = Attempt(claim, SERVED, Collected(), lambda _, how: ends.append(how))
    attempt.begin(LlamaServer("http://127.0.0.1:1", None), Bodies())
    assert ends == [fault]
