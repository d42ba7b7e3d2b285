"""The chat route on a queue that a test scripts: no bridge, only frames."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, cast

from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response
from redis.asyncio import Redis

from api.answer_room import AnswerRoom
from api.app import assemble
from api.auth import Authenticator
from api.context import Context
from api.dashboard.board import Board
from api.directory import Directory
from api.limits import Limiter
from api.line import Line
from api.pulse import Pulse
from api.visit import Room
from dispatcher.connection import LinkedRedis
from dispatcher.continuation import Continuation
from dispatcher.cost import Shown
from dispatcher.frames import FROM_SCRIPT, Frame, Kind
from dispatcher.job import Job
from dispatcher.model_state import ModelState
from dispatcher.needs import ANYBODY
from dispatcher.queue import Queue
from dispatcher.reply import Place, Reply
from dispatcher.worker_state import WorkerState
from testing.builders import make_settings, make_token

_CHUNK = (
    b'data: {"choices":[{"finish_reason":"stop","index":0,"delta":{"content":"Hi"}}],"id":"a"}\n\n'
)
STARTED = Frame(Kind.STARTED, 0, payload=b'{"worker": "w1", "queue_ms": 7}')
ANSWER = (
    STARTED,
    Frame(Kind.CHUNK, 1, tokens=1, payload=_CHUNK),
    Frame(Kind.DONE, 2, payload=b'{"prompt_tokens": 1, "completion_tokens": 1}'),
)


def end(kind: Kind) -> tuple[Frame, ...]:
    """What a script tells of a job that never ran."""
    return (Frame(kind, FROM_SCRIPT, payload=b"{}"),)


class Writable:
    """A Redis that takes writes."""

    async def check(self, max_age_s: float = 0.0) -> None:
        """Nothing is wrong."""


class ScriptedQueue:
    """Answers each job with `frames` after `wait_s`, or refuses it with `refusal`.

    `later` are more frames, and after how many seconds they come.
    `place` and `tenant_queued` are what each reply tells; `jobs` are those that came. A job that is
    lost goes on with the next of `continued`, on `needs`; `rests` are what was left of them.
    `when_submitted` is called for each job that comes. At its end each job's client was `shown` so
    much.
    """

    def __init__(self) -> None:
        self.writes = Writable()
        self.frames: Sequence[Frame] = ANSWER
        self.wait_s = 0.0
        self.later: tuple[Sequence[Frame], float] = ((), 0.0)
        self.refusal: Exception | None = None
        self.place: Place | None = None
        self.tenant_queued = 0
        self.jobs: list[Job] = []
        self.continued: list[Sequence[Frame]] = []
        self.needs = ANYBODY
        self.when_submitted: Callable[[], None] = lambda: None
        self.rests: list[Continuation] = []
        self.shown: list[Shown | None] = []
        self._replies: dict[str, Reply] = {}

    async def submit(self, job: Job, news: Callable[[], None]) -> Reply:
        if self.refusal is not None:
            raise self.refusal
        self.jobs.append(job)
        self.when_submitted()
        reply = self._replies[job.id] = Reply(10_000, news)
        reply.place, reply.tenant_queued = self.place, self.tenant_queued
        for frames, wait_s in ((self.frames, self.wait_s), self.later):
            asyncio.get_running_loop().call_later(wait_s, _put, reply, job, frames)
        return reply

    def resume(self, job: Job, rest: Continuation) -> None:
        self.rests.append(rest)
        reply = self._replies[job.id]
        reply.needs = self.needs
        if self.continued:
            _put(reply, job, self.continued.pop(0))

    def close(self, job: Job, shown: Callable[[], Shown | None]) -> None:
        """Nothing to cancel."""
        self.shown.append(shown())
        del self._replies[job.id]


def _put(reply: Reply, job: Job, frames: Sequence[Frame]) -> None:
    attempt_id = f"{job.id}:n-1-{reply.generation}"
    for frame in frames:
        reply.put(attempt_id, frame)


class Registry(Directory):
    """A directory whose content a test sets; `fresh` is what it reads when it looks again."""

    def __init__(self) -> None:
        super().__init__(cast(Redis, None), grace_s=30.0)
        self.models = {"tiny": a_model(a_worker())}
        self.fresh: Mapping[str, ModelState] | None = None

    async def refresh(self, max_age_s: float = 0.0) -> None:
        self.models = self.fresh or self.models


def a_worker(**fields: Any) -> WorkerState:
    facts: dict[str, Any] = {
        **{"id": "w1", "server": "http://server", "health": "healthy", "accepting": True},
        **{"slots": 2, "running": 0, "context": 1024, "build": "b1"},
        **{"modalities": frozenset(), "fingerprint": "f"},
    }
    return WorkerState(**facts | fields)


def a_model(*workers: WorkerState, **fields: Any) -> ModelState:
    facts: dict[str, Any] = {
        **{"model": "tiny", "seen_s": 0.0, "workers": workers, "queued": 3, "queued_bytes": 0},
        **{"mean_completion": 0.0},
    }
    return ModelState(**facts | fields)


class Service:
    """An API on such a queue, and its client."""

    def __init__(self, client: TestClient, queue: ScriptedQueue, registry: Registry) -> None:
        self.client = client
        self.queue = queue
        self.registry = registry

    def chat(
        self,
        body: bytes,
        headers: dict[str, str] | None = None,
        path: str = "/v1/chat/completions",
        **claims: Any,
    ) -> Response:
        token = {"Authorization": f"Bearer {make_token(**claims)}"}
        return self.client.post(path, content=body, headers=token | (headers or {}))


@asynccontextmanager
async def _beating(pulse: Pulse, app: FastAPI) -> AsyncIterator[None]:
    async def beat() -> None:
        while True:
            await asyncio.sleep(0.01)
            pulse.beat()

    task = asyncio.create_task(beat())
    yield
    task.cancel()


def scripted_app(
    max_tenant_jobs: int = 0, **settings: Any
) -> tuple[FastAPI, ScriptedQueue, Registry]:
    """The app of such an API."""
    queue, registry, pulse = ScriptedQueue(), Registry(), Pulse()
    loaded, nowhere = make_settings(**settings), cast(LinkedRedis, None)
    app = assemble(loaded, partial(_beating, pulse))
    app.state.context = Context(
        *(loaded, cast("Queue", queue), registry, Authenticator(loaded.token_values), pulse),
        *(Limiter(nowhere, 4, dict), Board(nowhere), max_tenant_jobs),
        line=Line(most_of_tenant=loaded.open_requests_of_a_tenant),
        room=Room(loaded.held_bytes_of_a_process),
        answers=AnswerRoom(loaded.held_bytes_of_a_process, loaded.max_held_bytes),
    )
    app.state.metrics.requests.is_known = lambda model: model in registry.models
    return app, queue, registry


@contextmanager
def service(max_tenant_jobs: int = 0, **settings: Any) -> Iterator[Service]:
    app, queue, registry = scripted_app(max_tenant_jobs, **settings)
    with TestClient(app) as client:
        yield Service(client, queue, registry)
