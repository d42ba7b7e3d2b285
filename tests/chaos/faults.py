"""The faults: what each one breaks, for how long, and a plan of many of them from a seed."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from random import Random
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.chaos.fleet import Fleet
from tests.chaos.launcher import CLOCK_KEY

Act = Callable[[Fleet, str], AbstractAsyncContextManager[None]]

CLOCK_STEP_MS = 8000
FORGETS = "Redis forgets"
_UNDO_S = 20.0


def away(part: str) -> str:
    """What a part's trouble is called that its clients can't see at once."""
    return f"{part} is away"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault: `act` breaks something on its way in and mends it on its way out.

    `of` chooses the targets. It lasts between `shortest_s` and `longest_s`. A target that it `ends`
    is another process afterwards.
    """

    act: Act
    of: Callable[[Fleet], Sequence[str]]
    shortest_s: float
    longest_s: float
    ends: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a plan."""

    at_s: float
    kind: str
    target: str
    for_s: float

    def __str__(self) -> str:
        return f"{self.kind} {self.target} for {self.for_s:.1f} s"


def plan(
    seed: int, fleet: Fleet, seconds: float, every_s: float, spared: Sequence[str] = ()
) -> list[Fault]:
    """A fault about every `every_s`, each kind as often as the others.

    No two faults have the same target at a time, and none ends a part that is `spared`. The same
    arguments give the same plan.
    """
    targets = {name: _targets(kind, fleet, spared) for name, kind in KINDS.items()}
    chance = Random(f"{seed} faults")  # noqa: S311
    faults: list[Fault] = []
    free_at: dict[str, float] = {}
    deck: list[str] = []
    at_s = every_s
    while at_s < seconds:
        if not deck:
            deck = [kind for kind in KINDS if targets[kind]]
            chance.shuffle(deck)
        kind = deck.pop()
        for_s = chance.uniform(KINDS[kind].shortest_s, KINDS[kind].longest_s)
        target = chance.choice(targets[kind])
        at_s = max(at_s, free_at.get(target, 0))
        faults.append(Fault(at_s, kind, target, for_s))
        free_at[target] = at_s + for_s + 0.5
        at_s += chance.uniform(0.5, 1.5) * every_s
    return faults


def _targets(kind: Kind, fleet: Fleet, spared: Sequence[str]) -> list[str]:
    return [part for part in kind.of(fleet) if not (kind.ends and part in spared)]


async def inject(fleet: Fleet, faults: Sequence[Fault], say: Callable[[str], None]) -> None:
    """Lets the faults of a plan happen, each at its time; returns when the last one is mended."""
    async with asyncio.TaskGroup() as group:
        for fault in faults:
            group.create_task(_happen(fleet, fault, say))


async def _happen(fleet: Fleet, fault: Fault, say: Callable[[str], None]) -> None:
    await asyncio.sleep(fault.at_s)
    say(f"fault {fault}")
    async with KINDS[fault.kind].act(fleet, fault.target):
        await asyncio.sleep(fault.for_s)
    say(f"mended {fault.kind} {fault.target}")


@asynccontextmanager
async def killed(fleet: Fleet, name: str) -> AsyncIterator[None]:
    """SIGKILL, and a new start."""
    with fleet.trouble(name):
        fleet.parts[name].kill()
        _cut_streams_of(fleet, name)
        yield
        fleet.parts[name].start()
        if name in fleet.apis:
            await _until_answers(fleet, name)


@asynccontextmanager
async def stopped(fleet: Fleet, name: str) -> AsyncIterator[None]:
    """SIGSTOP, and SIGCONT."""
    links = [link for link in fleet.links.values() if link.pace and link.name.endswith(name)]
    fleet.parts[name].signal(signal.SIGSTOP)
    for link in links:
        link.silent = True
    with fleet.trouble(away(name)):
        try:
            yield
        finally:
            fleet.parts[name].signal(signal.SIGCONT)
            for link in links:
                link.silent = False


def _cut_streams_of(fleet: Fleet, name: str) -> None:
    # A paced link holds what the server has said long ago: it dies with it.
    for link in fleet.links.values():
        if link.pace and link.name.endswith(name):
            link.cut()


async def _until_answers(fleet: Fleet, api: str) -> None:
    port = fleet.links[f"client-{api}"].target_port
    with suppress(TimeoutError):
        async with asyncio.timeout(_UNDO_S):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.1)
                else:
                    writer.close()
                    return


@asynccontextmanager
async def redis_emptied(fleet: Fleet, name: str) -> AsyncIterator[None]:
    """SIGKILL of a Redis that has no data when it comes back."""
    with fleet.trouble(FORGETS):
        fleet.parts[name].kill()
        fleet.forget(await fleet.usage_in(fleet.redis_folder), {})
        fleet.replace_redis_data(None)
        yield
        fleet.parts[name].start()


@asynccontextmanager
async def redis_restored(fleet: Fleet, name: str) -> AsyncIterator[None]:
    """A Redis that has forgotten the last moment, as after a failover."""
    with fleet.trouble(FORGETS):
        copy = fleet.copy_redis_data()
        await asyncio.sleep(1)
        fleet.parts[name].kill()
        fleet.forget(await fleet.usage_in(fleet.redis_folder), await fleet.usage_in(copy))
        fleet.replace_redis_data(copy)
        yield
        fleet.parts[name].start()


@asynccontextmanager
async def redis_loading(fleet: Fleet, name: str) -> AsyncIterator[None]:
    """A restarted Redis that says LOADING for about so long as it was away."""
    began = time.monotonic()
    fleet.parts[name].kill()
    yield
    away_us = (time.monotonic() - began) * 1e6
    fleet.parts[name].start("--key-load-delay", str(int(away_us / fleet.redis_commands())))
    await _tell(fleet, "CONFIG", "SET", "key-load-delay", 0)


@asynccontextmanager
async def replies_lost(fleet: Fleet, name: str) -> AsyncIterator[None]:
    """Some replies are lost, though the commands before them were executed."""
    fleet.links[name].lost_replies = 0.1
    yield
    fleet.links[name].lost_replies = 0


@asynccontextmanager
async def delayed(fleet: Fleet, name: str) -> AsyncIterator[None]:
    fleet.links[name].delay_s = 0.1
    yield
    fleet.links[name].delay_s = 0


@asynccontextmanager
async def half_open(fleet: Fleet, name: str) -> AsyncIterator[None]:
    """Nothing passes and nobody is told; at the end the connections are gone."""
    link = fleet.links[name]
    with fleet.trouble(away(name.partition("-")[0])):
        link.silent = True
        yield
        link.cut()
        await asyncio.sleep(0)
        link.silent = False


@asynccontextmanager
async def cut(fleet: Fleet, name: str) -> AsyncIterator[None]:
    """Connections break, and new ones are refused."""
    link = fleet.links[name]
    near, _, far = name.partition("-")
    with fleet.trouble(far if near == "client" else away(near)):
        link.down = True
        link.cut()
        yield
        link.down = False


@asynccontextmanager
async def client_kill(fleet: Fleet, name: str) -> AsyncIterator[None]:
    await _tell(fleet, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    yield


@asynccontextmanager
async def debug_sleep(fleet: Fleet, name: str) -> AsyncIterator[None]:
    """A command that holds everybody up, as a slow script does."""
    await _tell(fleet, "DEBUG", "SLEEP", 1.5)
    yield


@asynccontextmanager
async def script_flush(fleet: Fleet, name: str) -> AsyncIterator[None]:
    await _tell(fleet, "SCRIPT", "FLUSH")
    yield


@asynccontextmanager
async def replica(fleet: Fleet, name: str) -> AsyncIterator[None]:
    """READONLY for those who write, UNBLOCKED for those who wait."""
    await _tell(fleet, "REPLICAOF", "127.0.0.1", 1)
    yield
    await _tell(fleet, "REPLICAOF", "NO", "ONE")


@asynccontextmanager
async def out_of_memory(fleet: Fleet, name: str) -> AsyncIterator[None]:
    """OOM for those who write."""
    await _tell(fleet, "CONFIG", "SET", "maxmemory", 1)
    yield
    await _tell(fleet, "CONFIG", "SET", "maxmemory", 0)


def clock_stepped(by_ms: int) -> Act:
    """Redis' clock is wrong for a while, as after a failover to another machine."""

    @asynccontextmanager
    async def act(fleet: Fleet, name: str) -> AsyncIterator[None]:
        with fleet.trouble("clock"):
            await _tell(fleet, "SET", CLOCK_KEY, by_ms)
            yield
            await _tell(fleet, "DEL", CLOCK_KEY)

    return act


async def _tell(fleet: Fleet, *command: str | int | float) -> Any:
    """Runs a command, again if it must be: what was broken is to be mended in any case."""
    loop = asyncio.get_running_loop()
    until = loop.time() + _UNDO_S
    while True:
        redis: Redis = fleet.open_redis()
        try:
            return await redis.execute_command(*command)
        except (RedisError, OSError):
            if loop.time() > until:
                raise
            await asyncio.sleep(0.2)
        finally:
            await redis.aclose()


def _redis(fleet: Fleet) -> list[str]:
    return ["redis"]


def _bridge_redis_links(fleet: Fleet) -> list[str]:
    return [f"{bridge}-redis" for bridge in fleet.bridges]


def _api_redis_links(fleet: Fleet) -> list[str]:
    return [f"{api}-redis" for api in fleet.apis]


def _server_links(fleet: Fleet) -> list[str]:
    return [name for name, link in fleet.links.items() if link.pace]


def _all_links(fleet: Fleet) -> list[str]:
    return list(fleet.links)


def _inner_links(fleet: Fleet) -> list[str]:
    return [name for name in fleet.links if not name.startswith("client-")]


KINDS = {
    "bridge_killed": Kind(killed, lambda fleet: fleet.bridges, 0.5, 4, ends=True),
    "bridge_stopped": Kind(stopped, lambda fleet: fleet.bridges, 1, 10),
    "server_killed": Kind(killed, lambda fleet: fleet.servers, 0.5, 4, ends=True),
    "server_stopped": Kind(stopped, lambda fleet: fleet.servers, 1, 6),
    "api_killed": Kind(killed, lambda fleet: fleet.apis, 0.5, 3, ends=True),
    "api_stopped": Kind(stopped, lambda fleet: fleet.apis, 0.5, 7),
    "redis_killed": Kind(killed, _redis, 0.5, 5, ends=True),
    "redis_stopped": Kind(stopped, _redis, 0.5, 5),
    "redis_emptied": Kind(redis_emptied, _redis, 0.5, 3, ends=True),
    "redis_restored": Kind(redis_restored, _redis, 0.5, 3, ends=True),
    "redis_loading": Kind(redis_loading, _redis, 1, 2, ends=True),
    "bridge_replies_lost": Kind(replies_lost, _bridge_redis_links, 1, 4),
    "api_replies_lost": Kind(replies_lost, _api_redis_links, 1, 4),
    "server_replies_lost": Kind(replies_lost, _server_links, 1, 4),
    "delayed": Kind(delayed, _all_links, 1, 5),
    "half_open": Kind(half_open, _inner_links, 1, 8),
    "cut": Kind(cut, _all_links, 0.1, 5),
    "client_kill": Kind(client_kill, _redis, 0.1, 0.1),
    "debug_sleep": Kind(debug_sleep, _redis, 0.1, 0.1),
    "script_flush": Kind(script_flush, _redis, 0.1, 0.1),
    "replica": Kind(replica, _redis, 0.5, 3),
    "out_of_memory": Kind(out_of_memory, _redis, 0.5, 3),
    "clock_forward": Kind(clock_stepped(CLOCK_STEP_MS), _redis, 1, 5),
    "clock_back": Kind(clock_stepped(-CLOCK_STEP_MS), _redis, 1, 5),
}
