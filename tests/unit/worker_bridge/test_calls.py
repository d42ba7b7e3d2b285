"""When a worker claims, and how patient it is, with a session that a test scripts."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from redis.asyncio import Redis

from dispatcher.commands import NOT_RUNG, Offer
from dispatcher.connection import BLOCK_S, open_redis
from dispatcher.constants import SIDE_PLACES
from dispatcher.errors import Fenced, RedisUnavailable
from dispatcher.fleet import Fleet
from dispatcher.keys import Keys
from dispatcher.patience import EAGER, Load, Patience, Speed
from dispatcher.tasks import cancel
from dispatcher.worker import Taken
from testing.waiting import until
from worker_bridge import fleet_watch
from worker_bridge.calls import Calls
from worker_bridge.claim_policy import ClaimPolicy
from worker_bridge.fleet_watch import FleetWatch

KEYS = Keys("m")
SLOW = Speed(slots=1, prompt_tps=100, decode_tps=10)
FAST = Speed(slots=1, prompt_tps=1000, decode_tps=100)
UNKNOWN = Speed(slots=1, prompt_tps=0, decode_tps=0)
LOAD = Load(prompt_tokens=100, completion_tokens=100)


class ScriptedSession:
    """`speeds` are the fleet's, or what asking for it raises; `again_s` the next claims' answers,
    each once, `free` and `free_sides` the places that they leave, and `fault` what the next claim
    raises.
    """

    worker = "me"

    def __init__(self) -> None:
        self.speeds: dict[str, Speed] | Exception = {"me": SLOW, "other": FAST}
        self.again_s: list[float] = []
        self.fault: Exception | None = None
        self.free = 1
        self.free_sides = 1
        self.claims: list[tuple[float, Offer, Patience]] = []
        self.looks = 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def fleet(self, *_: object) -> Fleet:
        self.looks += 1
        if isinstance(self.speeds, Exception):
            raise self.speeds
        return Fleet(self.speeds, LOAD)

    async def claim(self, offer: Offer, patience: Patience) -> Taken:
        self.claims.append((time.monotonic(), offer, patience))
        await self.answers.wait()
        fault, self.fault = self.fault, None
        if fault is not None:
            raise fault
        again_s = self.again_s.pop(0) if self.again_s else None
        return Taken(self.free, [], again_s, self.free_sides)

    @property
    def patience(self) -> Patience:
        """How patient the last claim was."""
        return self.claims[-1][2]


class Stopped:
    """Stands in for the attempts: the ids of those to stop."""

    def __init__(self) -> None:
        self.attempt_ids: list[str] = []

    def stop(self, attempt_id: str, why: object) -> None:
        self.attempt_ids.append(attempt_id)


class Scene:
    """A session whose calls are taken."""

    def __init__(self, redis: Redis, waiter: Redis) -> None:
        self.session = ScriptedSession()
        self.stopped = Stopped()
        self.fenced = 0  # times
        self._redis = redis
        session: Any = self.session
        attempts: Any = self.stopped
        state: Any = SimpleNamespace(most=3, accepting=True)
        self._policy = ClaimPolicy("me", state)
        self._watch = FleetWatch(redis.link, KEYS)
        self._calls = Calls(waiter, KEYS, session, attempts, self._policy, self._fence)

    def _fence(self) -> None:
        self.fenced += 1

    @asynccontextmanager
    async def taking(self) -> AsyncIterator[None]:
        works = self._watch.tell(self._policy.heed), self._calls.take()
        tasks = [asyncio.create_task(work) for work in works]
        try:
            yield
        finally:
            await cancel(tasks)

    async def ring(
        self, patience: Callable[[Patience], bool] = lambda _: True, *, say_room: bool = False
    ) -> None:
        """Rings until a claim is as patient as that. The fake loses a ring now and then."""
        before = len(self.session.claims)
        async with asyncio.timeout(30):
            while len(self.session.claims) == before or not patience(self.session.patience):
                if say_room:
                    await self._redis.zadd(KEYS.named("bell_of", "me"), {"room": 1})
                await self._redis.zadd(KEYS.named("bell"), {"ring": 0})
                await asyncio.sleep(0.05)

    async def ring_aside(self, claims: int) -> None:
        """Rings for what needs no slot until so many claims were made."""
        async with asyncio.timeout(30):
            while len(self.session.claims) < claims:
                await self._redis.zadd(KEYS.named("side_bell"), {"ring": 0})
                await asyncio.sleep(0.05)

    async def say_side_room(self) -> None:
        await self._redis.zadd(KEYS.named("bell_of", "me"), {"side_room": 1})

    async def say_room(self) -> None:
        await self._redis.delete(KEYS.named("bell"))
        await self._redis.zadd(KEYS.named("bell_of", "me"), {"room": 1})

    async def drop(self, attempt_id: str) -> None:
        await self._redis.zadd(KEYS.named("cancels", "me"), {attempt_id: 0})


@pytest.fixture
async def scene(
    redis: Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Scene]:
    monkeypatch.setattr(fleet_watch, "_LOOK_EVERY_S", 0.1)
    waiter = open_redis(redis_url)
    scene = Scene(redis, waiter)
    monkeypatch.setattr(fleet_watch, "fetch_fleet", scene.session.fleet)
    yield scene
    await waiter.aclose()


def is_patient(patience: Patience) -> bool:
    return patience.faster == ("other",)


def is_eager(patience: Patience) -> bool:
    return patience == EAGER


async def test_slow_worker_is_patient_and_a_fast_one_is_not(scene: Scene) -> None:
    async with scene.taking():
        await scene.ring(is_patient)
        assert scene.session.claims[-1][1] == Offer(3, SIDE_PLACES)
        scene.session.speeds = {"me": FAST, "other": SLOW}
        await scene.ring(is_eager)


async def test_worker_without_figures_of_its_own_takes_everything(scene: Scene) -> None:
    scene.session.speeds = {"me": UNKNOWN, "other": FAST}
    async with scene.taking():
        await until(lambda: scene.session.looks > 1)
        await scene.ring()
        assert {patience for _, _, patience in scene.session.claims} == {EAGER}


@pytest.mark.parametrize("fault", [RedisUnavailable("away"), ValueError("odd"), Fenced("no")])
async def test_worker_that_can_not_see_its_fleet_takes_everything(
    scene: Scene, fault: Exception
) -> None:
    async with scene.taking():
        await scene.ring(is_patient)
        scene.session.speeds = fault
        await scene.ring(is_eager)
        scene.session.speeds = {"me": SLOW, "other": FAST}
        await scene.ring(is_patient)


async def test_large_fleet_is_looked_at_less_often(scene: Scene) -> None:
    scene.session.speeds = {f"w{number}": FAST for number in range(320)} | {"me": SLOW}
    async with scene.taking():
        await asyncio.sleep(0.5)
    assert scene.session.looks == 1


async def test_jobs_left_to_others_are_claimed_again_when_they_may_be_taken(scene: Scene) -> None:
    scene.session.again_s = [0.3, 0.0001]
    async with scene.taking():
        await scene.ring()
        await until(lambda: len(scene.session.claims) >= 3)
    first, second, third = (when for when, _, _ in scene.session.claims)
    assert second - first > 0.28
    assert third - first < BLOCK_S  # after that it would look on its own


async def test_cancel_in_between_delays_no_claim(scene: Scene) -> None:
    scene.session.again_s = [0.4]
    async with scene.taking():
        await scene.ring()
        for number in range(5):
            await scene.drop(f"j{number}:1")
            await asyncio.sleep(0.1)
    first, second = (when for when, _, _ in scene.session.claims)
    assert 0.38 < second - first < BLOCK_S
    assert len(scene.stopped.attempt_ids) >= 4  # the fake loses one that comes as its time runs out


async def test_claims_go_on_after_a_fault(scene: Scene) -> None:
    async with scene.taking():
        await scene.ring()
        scene.session.fault = RedisUnavailable("away")
        await scene.ring()
        scene.session.fault = Fenced("no")
        await scene.ring()
        await scene.ring()
    assert scene.fenced == 1


async def test_full_worker_that_has_room_again_listens_to_all_without_a_claim(
    scene: Scene,
) -> None:
    scene.session.free = 0
    async with scene.taking():
        await scene.ring()
        await scene.say_room()
        await asyncio.sleep(0.1)
        assert len(scene.session.claims) == 1
        async with asyncio.timeout(1.9):  # before it would look on its own
            await scene.ring(say_room=True)


async def test_full_worker_comes_for_what_needs_no_slot_and_asks_for_that_alone(
    scene: Scene,
) -> None:
    scene.session.free = 0
    async with scene.taking():
        await scene.ring()
        await scene.ring_aside(3)
    offers = [offer for _, offer, _ in scene.session.claims]
    assert offers[-1] == Offer(NOT_RUNG, SIDE_PLACES)


async def test_worker_without_side_places_hears_no_ring_for_them_until_it_has_some(
    scene: Scene,
) -> None:
    scene.session.free_sides = 0
    async with scene.taking():
        await scene.ring()
        claims = len(scene.session.claims)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await scene.ring_aside(claims + 1)
        await scene.say_side_room()
        async with asyncio.timeout(1.6):  # before it would look on its own
            await scene.ring_aside(claims + 1)


async def test_jobs_may_be_on_their_way_until_a_claim_is_answered(scene: Scene) -> None:
    calls = scene._calls
    scene.session.answers.clear()
    for fault in (None, RedisUnavailable("away")):
        scene.session.fault = fault
        claiming = asyncio.create_task(calls._claim(for_all=False))
        await asyncio.sleep(0)
        assert calls.is_claiming
        scene.session.answers.set()
        await asyncio.wait({claiming})
        assert (calls.is_claiming, claiming.exception()) == (False, fault)
        scene.session.answers.clear()
