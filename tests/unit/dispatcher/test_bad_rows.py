"""Rows of Redis that a bridge can't read are left out, and scripts that fail are given up."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from dispatcher.commands import Commands, Offer
from dispatcher.fleet import fetch_fleet
from dispatcher.frames import Kind
from dispatcher.inbox import Inbox
from dispatcher.job import Claim
from dispatcher.keys import MODELS, Keys
from dispatcher.outbox import Outbox
from dispatcher.outgoing import Refusal
from dispatcher.patience import Load, Speed
from dispatcher.redis_address import Arg
from dispatcher.registry import read_models
from dispatcher.reply import Reply
from dispatcher.spacing import Pace
from dispatcher.tasks import cancel
from dispatcher.turns import read_turns
from dispatcher.worker import WorkerSession
from testing.desk import Desk
from testing.ends import FACTS, Sender, Speaker, make_settings
from testing.waiting import until


class Failing(Commands):
    """Fails where one of the arguments is the `bad` one."""

    def __init__(self, redis: Redis, keys: Keys, bad: str) -> None:
        super().__init__(redis, keys)
        self.calls, run = 0, self._run

        async def fail(name: str, *args: Arg) -> list[Any]:
            self.calls += 1
            if bad in args:
                raise ResponseError("attempt to compare nil with number")
            return await run(name, *args)

        self._run = fail


async def joined(desk: Desk) -> WorkerSession:
    session = WorkerSession("w", desk.commands, 10)
    await session.register(2, True, FACTS)
    return session


async def test_speed_that_can_not_be_read_is_left_out(desk: Desk) -> None:
    await joined(desk)
    rows = {"v": "2 100 10", "many": "many 1 1", "short": "1", "nan": "1 nan 1", b"\xff": "1 1 1"}
    await desk.redis.hset(desk.keys.named("speeds"), mapping=rows)
    await desk.redis.hset(desk.keys.named("counters"), "mean_prompt_tokens", "some")
    fleet = await fetch_fleet(desk.commands.redis.link, desk.keys)
    assert (sorted(fleet.speeds), fleet.load) == (["v", "w"], Load(0, 0))
    assert fleet.speeds["v"] == Speed(2, 100, 10)


async def test_bad_rows_of_speeds_and_workers_stop_no_request(desk: Desk) -> None:
    await desk.join()
    await desk.join("bad", slots=2)
    bad = {"slots": "many", "context": "much", "prompt_tps": "x", "decode_tps": "y"}
    await desk.redis.hset(desk.keys.named("worker", "bad"), mapping=bad)
    await desk.redis.hset(desk.keys.named("speeds"), mapping={"bad": "many x y", "none": ""})
    await desk.redis.hset(desk.keys.named("counters"), "mean_service_ms", "long")
    assert (await desk.enqueue("j1", class_="context>1", prefixes=("p",)))[0] == b"OK"
    assert (await desk.enqueue("j2"))[0] == b"OK"
    assert (await desk.commands.position(["j2"]))[0] == 1
    assert await desk.finish(await desk.take()) == "OK"


async def test_claimed_job_of_an_unknown_wish_is_left_to_renew(desk: Desk) -> None:
    session = await joined(desk)
    await desk.enqueue("j1", "j2")
    await desk.redis.hset(desk.keys.named("job", "j1"), "wants", "sugar")
    assert [claim.job for claim in (await session.claim(Offer(2))).claims] == ["j2"]


async def test_script_that_fails_for_ever_is_given_up(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatcher.insist.RETRY_S", 0)
    commands = Failing(desk.redis, desk.keys, "done")
    session = WorkerSession("w", commands, 10)
    await session.register(1, True, FACTS)
    commands.calls = 0
    with pytest.raises(ResponseError):
        await session.finish("j1:n-1", "done", [])
    assert commands.calls == 3


async def test_emit_that_fails_is_repeated_job_by_job(desk: Desk) -> None:
    await desk.join(slots=3)
    await desk.enqueue("j1", "j2", "j3")
    _, attempt_ids = await desk.claim()
    commands = Failing(desk.redis, desk.keys, attempt_ids[1])
    outbox = Outbox(commands, Sender(), make_settings("redis://unused"), lambda: None)
    speakers = [Speaker() for _ in attempt_ids]
    for attempt_id, speaker in zip(attempt_ids, speakers, strict=True):
        claim = Claim("j", attempt_id, "a", frozenset(), 60, 0)
        outbox.open(claim, speaker).add(Kind.CHUNK, b"", Pace.NOW)
    running = asyncio.create_task(outbox.run())
    await until(lambda: _is_told(desk, speakers[1]))
    await cancel([running])
    assert [attempt_id for attempt_id, _ in await desk.heard()] == [attempt_ids[0], attempt_ids[2]]
    assert [speaker.refusals for speaker in speakers] == [[], [Refusal.FAILED], []]


async def _is_told(desk: Desk, speaker: Speaker) -> bool:
    return bool(speaker.refusals) and len(await desk.heard()) == 2


async def test_frame_that_can_not_be_read_costs_only_its_own_job(desk: Desk) -> None:
    inbox = Inbox("a", desk.commands, desk.redis, 10, lambda job, generation: None)
    replies = {name: Reply(1000, lambda: None) for name in ("j1", "j2")}
    inbox.replies.update(replies)
    inbox._deliver(
        {b"j1:n-1": b"started 0 0 1\n{", b"\xff:n-1": b"x", b"j2:n-1": b"chunk 0 1 1\nx"}
    )
    assert replies["j1"].failed_here
    assert [frame.payload for frame in replies["j2"].take()] == [b"x"]


BAD_WORKERS: tuple[dict[str | bytes, str | bytes], ...] = (
    {"slots": "many"},
    {"slots": "-1"},
    {"slots": "1" * 5000},
    {"context": "nan"},
    {"decode_tps": "inf"},
    {"foreign": "1.5"},
    {"server": b"\xff"},
)


@pytest.mark.parametrize("bad", BAD_WORKERS, ids=str)
async def test_worker_that_can_not_be_read_is_left_out_and_told_of_once(
    real_redis: Redis, bad: dict[str | bytes, str | bytes], written: pytest.LogCaptureFixture
) -> None:
    desk = Desk(real_redis)
    await desk.join("good", slots=3)
    await desk.join("bad")
    await desk.redis.hset(desk.keys.named("worker", "bad"), mapping=bad)
    await desk.redis.zadd(MODELS, {"tiny": (await desk.now_ms()) / 1000})
    for _ in range(3):
        (model,) = await read_models(desk.redis)
        assert [worker.id for worker in model.workers] == ["good"]
    assert written.text.count("The worker b'bad' of the model tiny can't be read") <= 1


async def test_registry_shows_what_can_be_read(real_redis: Redis) -> None:
    redis, desk = real_redis, Desk(real_redis)
    await desk.heartbeat("a")
    await desk.join("good", slots=3)
    await desk.join(b"\xff".decode("latin-1"))
    await desk.enqueue("j1")
    workers = {name: await desk.now_ms() + 9000 for name in ("type", "empty", b"\xfe")}
    await redis.zadd(desk.keys.named("workers"), workers)
    await redis.set(desk.keys.named("worker", "type"), "x", ex=60)
    await redis.hset(desk.keys.named("counters"), mapping={"mean_service_ms": "long"})
    await redis.delete(desk.keys.named("waiting"))
    await redis.set(desk.keys.named("waiting"), "x", ex=60)
    await redis.set(Keys("odd").named("workers"), "x", ex=60)
    now = (await desk.now_ms()) / 1000
    await redis.zadd(MODELS, {"tiny": now, b"\xff\xfe": now, "odd": now})
    (model,) = await read_models(redis)
    assert sorted(worker.id for worker in model.workers) == ["empty", "good", "ÿ"]
    assert (model.queued, model.mean_service_ms) == (1, 0)
    assert [(turn.tenant, turn.queued) for turn in await read_turns(redis.link, "tiny")] == [
        ("ann", 0)
    ]


async def test_job_of_a_tiny_weight_stops_no_claim(desk: Desk) -> None:
    """At d26fdb4 (M2) its cost had more digits than Redis counts: the script failed at every claim,
    and each failure ended a bridge.
    """
    await desk.join()
    await desk.enqueue("tiny", weight=1e-308, estimate=100)
    await desk.enqueue("good", tenant="bob")
    for _ in range(2):
        await desk.finish(await desk.take())
    assert await desk.queue() == []
