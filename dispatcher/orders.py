"""What operators order: workers take no more jobs, jobs are cancelled.

Redis keeps the orders. An order to drain holds for a worker's place: also for what comes back
there.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from dispatcher.commands import Commands
from dispatcher.connection import LinkedRedis
from dispatcher.constants import MOST_CLAIMED, MOST_DRAINED, MOST_RECOUNTED
from dispatcher.keys import Keys
from dispatcher.link import Link
from dispatcher.model_state import ModelState
from dispatcher.registry import read_registry
from dispatcher.row import printable

_RANDOM_END = re.compile(r"-[0-9a-f]{6}$")
_NEAREST = 3
_PIECE = re.compile(r"-\d+$")  # of a request that is several jobs


class UnknownName(Exception):
    """Nothing is called this; `nearest` are names that are alike."""

    def __init__(self, what: str, name: str, nearest: Iterable[str]) -> None:
        self.nearest = tuple(nearest)
        rest = f" The nearest are: {', '.join(self.nearest)}." if self.nearest else ""
        self.message = f"There is no {what} {printable(name)[:80]!r}.{rest}"
        super().__init__(self.message)


@dataclass(frozen=True, slots=True)
class WorkerOrder:
    """An order for one worker, which works on `running` jobs in slots.

    It `is_news` where the order was not given before. A worker that is away is known by its place
    alone.
    """

    worker: str
    model: str
    running: int
    is_news: bool
    is_here: bool = True


@dataclass(frozen=True, slots=True)
class JobOrder:
    """What a job was when it was cancelled: queued, running, lost, or how it had ended before."""

    job: str
    model: str
    was: str

    @property
    def is_news(self) -> bool:
        """Whether it was not over yet."""
        return self.was in ("queued", "running", "lost")


def place_of(name: str, server: str = "") -> str:
    """Where a worker is, as orders know it. `server` is empty where the bridge starts it itself.

    >>> place_of("gpu1", "http://127.0.0.1:8080"), place_of("gpu1")
    ('gpu1|http://127.0.0.1:8080', 'gpu1')
    """
    return f"{name}|{server}" if server else name


def name_of(worker: str) -> str:
    """A worker's name, which outlives its bridge: its id without the random end.

    >>> name_of("gpu1-0a1b2c"), name_of("gpu1")
    ('gpu1', 'gpu1')
    """
    return _RANDOM_END.sub("", worker)


async def drain(redis: LinkedRedis, worker: str) -> list[WorkerOrder]:
    """Lets a worker, or all workers of this name, take no more jobs; running ones end normally.

    The order holds until `resume`, over restarts of the bridge. Raises `UnknownName`,
    `RedisUnavailable` and `ResponseError`, as all here do.
    """
    return await _order(redis, worker, drained=True)


async def resume(redis: LinkedRedis, worker: str) -> list[WorkerOrder]:
    """Lets a worker, or all workers of this name, take jobs again; also those that are away."""
    return await _order(redis, worker, drained=False)


async def cancel(redis: LinkedRedis, job: str) -> list[JobOrder]:
    """Cancels a job, or all jobs of a request, that wait or run, and tells their clients.

    A job that was over stays as it is.
    """
    for state in (await read_registry(redis)).models:
        commands = _commands(redis, state)
        if found := await _jobs_of(_link(redis, state), state, job):
            states = await commands.call_off(found)
            told = zip(found, states, strict=True)
            return [JobOrder(printable(one), state.model, was.decode()) for one, was in told]
    raise UnknownName("job or request", job, ())


async def _order(redis: LinkedRedis, asked: str, *, drained: bool) -> list[WorkerOrder]:
    models = (await read_registry(redis)).models
    given: list[WorkerOrder] = []
    known: set[str] = set()
    for state in models:
        away = set() if drained else await _places(redis, state)
        here = {worker.place for worker in state.workers}
        known |= {worker.id for worker in state.workers} | {_name(place) for place in away}
        for place in sorted(_meant(asked, state) | {p for p in away - here if _name(p) == asked}):
            given += await _give(_commands(redis, state), state, place, drained=drained)
    if not given:
        raise UnknownName("worker", asked, _nearest(asked, known))
    return given


def _meant(asked: str, state: ModelState) -> set[str]:
    """The places of the worker of this id, else of all workers of this name."""
    exactly = {worker.place for worker in state.workers if worker.id == asked}
    return exactly or {one.place for one in state.workers if name_of(one.id) == asked}


async def _give(
    commands: Commands, state: ModelState, place: str, *, drained: bool
) -> list[WorkerOrder]:
    changed, *workers = await commands.drain(place, drained=drained)
    running = {worker.id: worker.running for worker in state.workers}
    ids = [printable(worker.decode(errors="replace")) for worker in workers]
    rows = [WorkerOrder(one, state.model, running.get(one, 0), changed == 1) for one in ids]
    return rows or [WorkerOrder(_name(place), state.model, 0, changed == 1, is_here=False)]


async def _places(redis: LinkedRedis, state: ModelState) -> set[str]:
    """Those that are drained."""
    link, key = _link(redis, state), Keys(state.model).named("drained")
    return {
        printable(place.decode(errors="replace"))
        for place in await link.call("ZRANGE", key, 0, MOST_DRAINED - 1)
    }


def _name(place: str) -> str:
    return name_of(place.partition("|")[0])


async def _jobs_of(link: Link, state: ModelState, asked: str) -> list[str]:
    """A job of this id, else those of the request that are not over."""
    keys = Keys(state.model)
    if await link.call("EXISTS", keys.named("job", asked)):
        return [asked]
    rows = await link.call("ZRANGE", keys.named("deadlines"), 0, MOST_RECOUNTED - 1)
    ids = {row.decode(errors="replace") for row in rows}
    return sorted(one for one in ids if _PIECE.sub("", one) == asked)[:MOST_CLAIMED]


def _link(redis: LinkedRedis, state: ModelState) -> Link:
    return redis.apart(state.model) if state.invited else redis.link


def _commands(redis: LinkedRedis, state: ModelState) -> Commands:
    commands = Commands(redis, Keys(state.model))
    commands.keep_apart(is_apart=bool(state.invited))
    return commands


def _nearest(asked: str, known: Iterable[str]) -> list[str]:
    from difflib import SequenceMatcher  # seldom needed

    def likeness(worker: str) -> float:
        """The random end of an id says nothing of how alike its name is."""
        names = worker, name_of(worker)
        return max(SequenceMatcher(None, asked, name).ratio() for name in names)

    return sorted(sorted(known), key=likeness, reverse=True)[:_NEAREST]
