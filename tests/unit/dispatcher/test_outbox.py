"""The bridge's end of the reply stream: order, batches, and what stops an attempt."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis

from dispatcher import courier, outbox
from dispatcher.commands import Commands
from dispatcher.courier import Courier
from dispatcher.frames import Kind
from dispatcher.job import Claim, Want
from dispatcher.outbox import Outbox
from dispatcher.outgoing import Outgoing, Refusal
from dispatcher.settings import QueueSettings
from dispatcher.spacing import Pace
from dispatcher.tasks import cancel
from testing.desk import Desk
from testing.ends import Sender, Speaker, rest_of
from testing.relay import Relay
from testing.waiting import until


class Mouth:
    """An outbox of worker `w`, the attempts that say something, and what it tells them."""

    def __init__(self, redis: Redis, desk: Desk) -> None:
        self.fenced = asyncio.Event()
        self.sender = Sender()
        self.said: dict[str, Outgoing] = {}
        self.speakers: dict[str, Speaker] = {}
        settings = QueueSettings(redis_url="redis://unused", max_unread_bytes=2**20)
        self.commands = Commands(redis, desk.keys)
        self.outbox = Outbox(self.commands, self.sender, settings, self.fenced.set)

    def of(self, attempt_id: str, api: str = "a") -> Outgoing:
        if attempt_id not in self.said:
            wants = frozenset({Want.STREAM})
            claim = Claim(attempt_id.partition(":")[0], attempt_id, api, wants, 60, 0)
            self.speakers[attempt_id] = Speaker()
            self.said[attempt_id] = self.outbox.open(claim, self.speakers[attempt_id])
        return self.said[attempt_id]

    def add(
        self, attempt_id: str, *, api: str = "a", pace: Pace = Pace.NOW, payload: bytes = b"x"
    ) -> Outgoing:
        outgoing = self.of(attempt_id, api)
        outgoing.add(Kind.PROMPT, payload, pace)
        return outgoing

    @property
    def refused(self) -> list[tuple[str, Refusal]]:
        return [
            (attempt_id, why) for attempt_id, each in self.speakers.items() for why in each.refusals
        ]

    @property
    def bytes(self) -> int:
        """That wait or are on their way."""
        return sum(courier.bytes for courier in self.outbox._couriers.values())

    async def has_sent(self, desk: Desk, emits: int) -> None:
        """And has had the answers."""
        await until(lambda: _length(desk, emits))
        await self.commands.redis.link.call("PING")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.outbox.run())
        yield
        alive = not task.done()
        await cancel([task])
        assert alive


@pytest.fixture
def mouth(desk: Desk, relayed: Redis) -> Mouth:
    return Mouth(relayed, desk)


@pytest.fixture
async def attempt_id(desk: Desk) -> str:
    """One attempt on worker `w`."""
    await desk.join(slots=2)
    await desk.enqueue("j1")
    return await desk.take()


async def test_frames_arrive_in_order(desk: Desk, mouth: Mouth, attempt_id: str) -> None:
    async with mouth.running():
        for seq in range(50):
            mouth.add(attempt_id, payload=b"%d" % seq)
            await asyncio.sleep(0)
        await until(lambda: _length(desk, 50))
    assert [told.payload for told in await desk.told()] == [b"%d" % seq for seq in range(50)]


async def _length(desk: Desk, number: int, api: str = "a") -> bool:
    return len(await desk.told(api)) >= number


async def test_frames_that_come_while_one_emit_is_on_its_way_share_the_next(
    desk: Desk, relay: Relay, mouth: Mouth, attempt_id: str
) -> None:
    async with mouth.running():
        mouth.add(attempt_id)
        await mouth.has_sent(desk, 1)
        relay.hold_replies()
        mouth.add(attempt_id)
        await relay.held.wait()
        for _ in range(2, 20):
            mouth.add(attempt_id)
        relay.let_go()
        await until(lambda: _length(desk, 20))
    assert await desk.redis.xlen(desk.keys.named("replies", "a")) == 1 + 3


async def test_refusal_of_an_epoch_that_has_ended_meanwhile_fences_nobody(
    desk: Desk, relay: Relay, mouth: Mouth, attempt_id: str
) -> None:
    async with mouth.running():
        mouth.add(attempt_id)
        await until(lambda: _length(desk, 1))
        await desk.join(epoch="next")
        relay.hold_replies()
        outgoing = mouth.add(attempt_id)
        await relay.held.wait()
        mouth.sender.epoch = "next"
        relay.let_go()
        await rest_of(mouth.outbox, outgoing)
    assert not mouth.fenced.is_set()


async def test_frame_that_is_not_urgent_goes_too(desk: Desk, mouth: Mouth, attempt_id: str) -> None:
    async with mouth.running():
        mouth.add(attempt_id, pace=Pace.LAZY)
        await until(lambda: _length(desk, 1))


async def test_frame_that_is_not_urgent_goes_though_an_emit_came_between(
    desk: Desk, mouth: Mouth, attempt_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "LAZY_S", 0.05)
    async with mouth.running():
        mouth.add(attempt_id, pace=Pace.LAZY)
        mouth.add(attempt_id)
        await until(lambda: _length(desk, 2))
        mouth.add(attempt_id, pace=Pace.LAZY)
        await until(lambda: _length(desk, 3))


async def test_attempt_that_ends_before_its_emit_takes_its_frames_along(
    desk: Desk, mouth: Mouth, attempt_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    emits: list[object] = []
    monkeypatch.setattr(mouth.commands, "emit", lambda *args: emits.append(args))
    async with mouth.running():
        assert len(await rest_of(mouth.outbox, mouth.add(attempt_id))) == 1
        await asyncio.sleep(0.01)
    assert emits == []


async def test_take_waits_for_frames_on_their_way_and_returns_the_rest(
    desk: Desk, relay: Relay, mouth: Mouth, attempt_id: str
) -> None:
    async with mouth.running():
        outgoing = mouth.add(attempt_id)
        await mouth.has_sent(desk, 1)
        relay.hold_replies()
        mouth.add(attempt_id)
        await relay.held.wait()
        mouth.add(attempt_id, pace=Pace.LAZY)
        taking = asyncio.create_task(rest_of(mouth.outbox, outgoing))
        await asyncio.sleep(0)
        assert not taking.done()
        relay.let_go()
        rest = await taking
    sent = [frame.seq for frame in rest]
    assert (sent, len(await desk.told())) == ([2], 2)


async def test_emit_whose_reply_was_lost_is_repeated(
    desk: Desk, relay: Relay, mouth: Mouth, attempt_id: str
) -> None:
    async with mouth.running():
        mouth.add(attempt_id)
        await mouth.has_sent(desk, 1)
        relay.cut_next_reply()
        mouth.add(attempt_id, payload=b"twice")
        await until(lambda: _length(desk, 3))
        mouth.add(attempt_id)
        await until(lambda: _length(desk, 4))
    assert [told.payload for told in await desk.told()] == [b"x", b"twice", b"twice", b"x"]
    assert mouth.refused == []


async def test_attempt_of_another_is_stopped_as_fenced(
    desk: Desk, mouth: Mouth, attempt_id: str
) -> None:
    async with mouth.running():
        mouth.add("j9:n-1")
        await until(lambda: mouth.refused)
    assert mouth.refused == [("j9:n-1", Refusal.FOREIGN)]


@pytest.mark.parametrize("why", ["gone", "slow"])
async def test_attempt_that_nobody_reads_is_stopped(
    desk: Desk, mouth: Mouth, attempt_id: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "_SLOW_S", 0.2)
    if why == "gone":
        await desk.redis.delete(desk.keys.named("replies", "a"), desk.keys.named("api", "a"))
    else:
        await desk.emit(attempt_id, payload=b"x" * 2**20)
    async with mouth.running():
        mouth.add(attempt_id)
        await until(lambda: mouth.refused)
    assert mouth.refused == [(attempt_id, Refusal[why.upper()])]


async def test_api_that_is_behind_is_waited_for(desk: Desk, mouth: Mouth, attempt_id: str) -> None:
    await desk.emit(attempt_id, payload=b"x" * 2**20)
    (before,) = await desk.redis.hmget(desk.keys.named("api", "a"), "written_bytes")
    async with mouth.running():
        mouth.add(attempt_id, payload=b"late")
        await asyncio.sleep(0.1)
        assert len(await desk.told()) == 1
        await desk.heartbeat("a", read=int(before))
        await mouth.has_sent(desk, 2)
    assert mouth.refused == []
    assert [told.payload for told in await desk.told()][-1] == b"late"


async def test_api_that_is_behind_holds_up_no_other(
    desk: Desk, mouth: Mouth, attempt_id: str
) -> None:
    """And what waits for it is sent once it has read."""
    await desk.heartbeat("slow")
    await desk.enqueue("j2", api="slow")
    other = await desk.take()
    await desk.emit(other, api="slow", payload=b"x" * 2**20)
    async with mouth.running():
        for number in range(1, 6):
            mouth.add(other, api="slow", payload=b"late")
            mouth.add(attempt_id)
            await mouth.has_sent(desk, number)
        assert len(await desk.told("slow")) == 1
        (written,) = await desk.redis.hmget(desk.keys.named("api", "slow"), "written_bytes")
        await desk.heartbeat("slow", read=int(written))
        await until(lambda: _length(desk, 6, "slow"))
    assert [told.payload for told in await desk.told("slow")][1:] == [b"late"] * 5
    assert mouth.refused == []


async def test_api_whose_frames_can_not_be_sent_gets_later_ones(
    desk: Desk, mouth: Mouth, attempt_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a reason that nobody has thought of."""
    monkeypatch.setattr(courier, "_AFTER_A_FAULT_S", 0.01)
    emit, faults = mouth.commands.emit, [RuntimeError("unforeseen")]

    def fail_once(*args: Any) -> Any:
        if faults:
            raise faults.pop()
        return emit(*args)

    monkeypatch.setattr(mouth.commands, "emit", fail_once)
    async with mouth.running():
        outgoing = mouth.add(attempt_id, payload=b"lost")
        await until(lambda: not faults)
        mouth.add(attempt_id, payload=b"later")
        await mouth.has_sent(desk, 1)
        assert await rest_of(mouth.outbox, outgoing) == []
    assert [told.payload for told in await desk.told()] == [b"later"]


async def test_fenced_worker_is_told(desk: Desk, mouth: Mouth, attempt_id: str) -> None:
    await desk.join(epoch="new")
    async with mouth.running():
        mouth.add(attempt_id)
        async with asyncio.timeout(30):
            await mouth.fenced.wait()
    assert mouth.refused == []


async def test_clearing_while_an_emit_is_on_its_way_does_not_end_the_outbox(
    desk: Desk, relay: Relay, mouth: Mouth, attempt_id: str
) -> None:
    await desk.heartbeat("b")
    await desk.enqueue("j2", api="b")
    other = await desk.take()
    async with mouth.running():
        mouth.add(attempt_id)
        await mouth.has_sent(desk, 1)
        relay.hold_replies()
        mouth.add(attempt_id)
        await relay.held.wait()
        mouth.add(other, api="b")
        mouth.outbox.clear()
        relay.let_go()
        mouth.add(attempt_id)
        await until(lambda: _length(desk, 3))
    assert await desk.told("b") == []


async def test_tokens_of_several_streams_share_an_emit_and_a_first_one_goes_at_once(
    desk: Desk, mouth: Mouth
) -> None:
    await desk.join(slots=9)
    await desk.enqueue(*(f"j{number}" for number in range(9)))
    _, attempt_ids = await desk.claim()
    async with mouth.running():
        for attempt_id in attempt_ids:
            mouth.of(attempt_id).add_text(b"first", 1, Pace.NOW)
        await until(lambda: _length(desk, 9))
        emits = await desk.redis.xlen(desk.keys.named("replies", "a"))
        for attempt_id in attempt_ids:
            mouth.of(attempt_id).add_text(b"second", 2, Pace.SOON)
            await asyncio.sleep(0)
        await until(lambda: _length(desk, 18))
    assert await desk.redis.xlen(desk.keys.named("replies", "a")) == emits + 1


async def test_attempt_of_which_too_much_waits_is_paused_until_it_has_gone_through(
    desk: Desk, relay: Relay, mouth: Mouth, attempt_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Courier, "most_of_one_bytes", 100)
    async with mouth.running():
        mouth.of(attempt_id).add_text(b"first", 1, Pace.NOW)
        await until(lambda: _length(desk, 1))
        relay.hold_replies()
        mouth.of(attempt_id).add_text(b"x" * 60, 2, Pace.LAZY)
        assert mouth.speakers[attempt_id].heard == []
        mouth.of(attempt_id).add_text(b"y" * 60, 3, Pace.LAZY)
        await relay.held.wait()
        assert mouth.speakers[attempt_id].heard == ["pause"]
        relay.let_go()
        await until(lambda: mouth.speakers[attempt_id].heard == ["pause", "resume"])
    assert [told.payload for told in await desk.told()][1:] == [b"x" * 60 + b"y" * 60]
    assert mouth.bytes == 0


async def test_all_attempts_of_an_api_together_are_bounded_and_pause_none_of_another(
    desk: Desk, mouth: Mouth, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Courier, "most_bytes", 100)
    for number in range(3):
        mouth.of(f"j{number}:n-1").add_text(b"x" * 60, 1, Pace.LAZY)
    mouth.of("j3:n-1", "b").add_text(b"x" * 60, 1, Pace.LAZY)
    heard = [speaker.heard for speaker in mouth.speakers.values()]
    assert heard == [[], ["pause"], ["pause"], []]
    couriers = list(mouth.outbox._couriers.values())
    for outgoing in mouth.said.values():
        await rest_of(mouth.outbox, outgoing)
    assert [courier.bytes for courier in couriers] == [0, 0]
    assert mouth.outbox._couriers == {}


async def test_what_is_too_much_for_one_emit_leaves_in_several_and_is_counted(
    desk: Desk, relay: Relay, mouth: Mouth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what is said while others are on their way."""
    monkeypatch.setattr(courier, "_MOST_OF_EMIT_BYTES", 10)
    monkeypatch.setattr(courier, "_MOST_AT_ONCE_BYTES", 20)
    await desk.join(slots=4)
    await desk.enqueue("j1", "j2", "j3", "j4")
    _, attempt_ids = await desk.claim()
    for attempt_id in attempt_ids:
        mouth.of(attempt_id).add_text(b"0123456789", 1, Pace.NOW)
    relay.hold_replies()
    async with mouth.running():
        await relay.held.wait()
        for attempt_id in attempt_ids:
            mouth.of(attempt_id).add_text(b"+", 2, Pace.SOON)
        relay.let_go()
        await until(lambda: _said(desk, 4 * 11))
        await mouth.commands.redis.link.call("PING")
    said = {attempt_id: b"" for attempt_id in attempt_ids}
    for told in await desk.told():
        said[told.attempt_id] += told.payload
    assert set(said.values()) == {b"0123456789+"}
    assert mouth.bytes == 0
    assert await desk.redis.xlen(desk.keys.named("replies", "a")) >= 4


async def _said(desk: Desk, size: int) -> bool:
    return sum(len(told.payload) for told in await desk.told()) >= size
