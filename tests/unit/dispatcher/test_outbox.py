"""The bridge's end of the reply stream: order, batches, and what stops an attempt."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from dispatcher.frames import Frame, Kind
from dispatcher.job import Claim
from dispatcher.outbox import Outbox, Pace, Refusal
from dispatcher.scripts import Scripts
from dispatcher.settings import QueueSettings
from dispatcher.tasks import cancel
from tests.unit.dispatcher.desk import Desk
from tests.unit.dispatcher.relay import Relay
from tests.unit.dispatcher.waiting import until


class Sender:
    """An outbox of worker `w`, and what it reported."""

    def __init__(self, redis: Redis, desk: Desk) -> None:
        self.stopped: list[tuple[str, Refusal]] = []
        self.fenced = asyncio.Event()
        self.epoch = "e"
        settings = QueueSettings(redis_url="redis://unused", max_unread_bytes=2**20)
        self.scripts = Scripts(redis, desk.keys)
        self.outbox = Outbox(
            self.scripts,
            lambda: ("w", self.epoch),
            settings,
            lambda token, refusal: self.stopped.append((token, refusal)),
            self.fenced.set,
        )

    def add(
        self, token: str, seq: int, *, api: str = "a", pace: Pace = Pace.NOW, payload: bytes = b"x"
    ) -> Claim:
        claim = Claim(token.partition(":")[0], token, api, frozenset(), 60, 0)
        frame = Frame(Kind.CHUNK, seq, payload=payload)
        self.outbox.add(claim, frame, pace, visible=False)
        return claim

    async def has_sent(self, desk: Desk, emits: int) -> None:
        """And has had the answers."""
        await until(lambda: _length(desk, emits))
        await self.scripts.link.call("PING")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.outbox.run())
        yield
        alive = not task.done()
        await cancel([task])
        assert alive


@pytest.fixture
def sender(desk: Desk, relayed: Redis) -> Sender:
    return Sender(relayed, desk)


@pytest.fixture
async def token(desk: Desk) -> str:
    """One attempt on worker `w`."""
    await desk.join(slots=2)
    await desk.enqueue("j1")
    return await desk.take()


async def test_frames_arrive_in_order(desk: Desk, sender: Sender, token: str) -> None:
    async with sender.running():
        for seq in range(50):
            sender.add(token, seq, payload=b"%d" % seq)
            await asyncio.sleep(0)
        await until(lambda: _length(desk, 50))
    assert [told.payload for told in await desk.told()] == [b"%d" % seq for seq in range(50)]


async def _length(desk: Desk, number: int) -> bool:
    return len(await desk.told()) >= number


async def test_frames_that_come_while_one_emit_is_on_its_way_share_the_next(
    desk: Desk, relay: Relay, sender: Sender, token: str
) -> None:
    async with sender.running():
        sender.add(token, 0)
        await sender.has_sent(desk, 1)
        relay.hold_replies()
        sender.add(token, 1)
        await relay.held.wait()
        for seq in range(2, 20):
            sender.add(token, seq)
        relay.let_go()
        await until(lambda: _length(desk, 20))
    assert await desk.redis.xlen(desk.keys.named("replies", "a")) == 1 + 3


async def test_refusal_of_an_epoch_that_has_ended_meanwhile_fences_nobody(
    desk: Desk, relay: Relay, sender: Sender, token: str
) -> None:
    async with sender.running():
        sender.add(token, 0)
        await until(lambda: _length(desk, 1))
        await desk.join(epoch="next")
        relay.hold_replies()
        claim = sender.add(token, 1)
        await relay.held.wait()
        sender.epoch = "next"
        relay.let_go()
        await sender.outbox.take(claim)
    assert not sender.fenced.is_set()


async def test_frame_that_is_not_urgent_goes_too(desk: Desk, sender: Sender, token: str) -> None:
    async with sender.running():
        sender.add(token, 0, pace=Pace.LAZY)
        await until(lambda: _length(desk, 1))


async def test_take_waits_for_frames_on_their_way_and_returns_the_rest(
    desk: Desk, relay: Relay, sender: Sender, token: str
) -> None:
    async with sender.running():
        claim = sender.add(token, 0)
        await until(lambda: _length(desk, 1))
        assert await sender.outbox.take(claim) == []  # its reply is here
        relay.hold_replies()
        sender.add(token, 1)
        await relay.held.wait()
        sender.add(token, 2, pace=Pace.LAZY)
        taking = asyncio.create_task(sender.outbox.take(claim))
        await asyncio.sleep(0)
        assert not taking.done()
        relay.let_go()
        rest = await taking
    sent = [frame.seq for frame in rest]
    assert (sent, len(await desk.told())) == ([2], 2)


async def test_emit_whose_reply_was_lost_is_repeated(
    desk: Desk, relay: Relay, sender: Sender, token: str
) -> None:
    async with sender.running():
        sender.add(token, 0)
        await sender.has_sent(desk, 1)
        relay.cut_next_reply()
        sender.add(token, 1, payload=b"twice")
        await until(lambda: _length(desk, 3))
        sender.add(token, 2)
        await until(lambda: _length(desk, 4))
    assert [told.payload for told in await desk.told()] == [b"x", b"twice", b"twice", b"x"]
    assert sender.stopped == []


async def test_attempt_of_another_is_stopped_as_fenced(
    desk: Desk, sender: Sender, token: str
) -> None:
    async with sender.running():
        sender.add("j9:n-1", 0)
        await until(lambda: _is_set(bool(sender.stopped)))
    assert sender.stopped == [("j9:n-1", Refusal.FOREIGN)]


async def _is_set(value: bool) -> bool:
    return value


@pytest.mark.parametrize("why", ["gone", "slow"])
async def test_attempt_that_nobody_reads_is_stopped(
    desk: Desk, sender: Sender, token: str, why: str
) -> None:
    if why == "gone":
        await desk.redis.delete(desk.keys.named("replies", "a"), desk.keys.named("api", "a"))
    else:
        await desk.emit(token, payload=b"x" * 2**20)
    async with sender.running():
        sender.add(token, 0)
        await until(lambda: _is_set(bool(sender.stopped)))
    assert sender.stopped == [(token, Refusal[why.upper()])]


async def test_fenced_worker_is_told(desk: Desk, sender: Sender, token: str) -> None:
    await desk.join(epoch="new")
    async with sender.running():
        sender.add(token, 0)
        async with asyncio.timeout(5):
            await sender.fenced.wait()
    assert sender.stopped == []


async def test_clearing_while_an_emit_is_on_its_way_does_not_end_the_outbox(
    desk: Desk, relay: Relay, sender: Sender, token: str
) -> None:
    await desk.heartbeat("b")
    await desk.enqueue("j2", api="b")
    other = await desk.take()
    async with sender.running():
        sender.add(token, 0)
        await sender.has_sent(desk, 1)
        relay.hold_replies()
        sender.add(token, 1)
        sender.add(other, 0, api="b")
        await relay.held.wait()
        sender.outbox.clear()
        relay.let_go()
        sender.add(token, 2)
        await until(lambda: _length(desk, 3))
    assert await desk.told("b") == []
