"""APIs on one Redis, each with a queue that a test scripts, and clients that call them directly."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

from starlette.types import Message

from api.app import assemble
from api.auth import Authenticator
from api.context import Context
from api.dashboard.board import Board
from api.idempotency.once import Once
from api.limits import Limiter
from api.pulse import Pulse
from dispatcher.connection import LinkedRedis
from dispatcher.cost import Shown
from dispatcher.frames import Frame, Kind
from dispatcher.job import Job
from dispatcher.kept_answers import Bounds, KeptAnswers
from dispatcher.queue import Queue
from dispatcher.reply import Reply
from dispatcher.tasks import cancel
from testing.builders import make_chat, make_settings, make_token
from testing.service import STARTED, Registry, ScriptedQueue, _put
from testing.waiting import until

KEY = "key-1"
CHAT = "/v1/chat/completions"
DONE = Frame(Kind.DONE, 0, payload=b'{"prompt_tokens": 1, "completion_tokens": 1}')


def words(*texts: str, done: bool = True) -> list[Frame]:
    """The frames of an answer of these texts."""
    chunks = [
        b'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"%b"}}],"id":"a"}'
        b"\n\n" % text.encode()
        for text in texts
    ]
    if done:
        chunks[-1] = chunks[-1].replace(b"null", b'"stop"')
    frames = [STARTED]
    frames += [Frame(Kind.CHUNK, n, tokens=n, payload=c) for n, c in enumerate(chunks, 1)]
    return [*frames, DONE._replace(seq=len(frames))] if done else frames


class HeldQueue(ScriptedQueue):
    """Answers only when it is told to, by `say`; `closed` are jobs whose reply is not read."""

    def __init__(self) -> None:
        super().__init__()
        self.frames = ()
        self.closed: list[Job] = []

    async def submit(self, job: Job, news: Callable[[], None]) -> Reply:
        self.jobs.append(job)
        reply = self._replies[job.id] = Reply(2**24, news)
        return reply

    def say(self, *frames: Frame, job: int = -1) -> None:
        asked = self.jobs[job]
        _put(self._replies[asked.id], asked, frames)

    def close(self, job: Job, shown: Callable[[], Shown | None]) -> None:
        self.closed.append(job)
        super().close(job, shown)


class Client:
    """One request, and what came of it so far."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.is_over = False
        self.left = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self.is_paused = asyncio.Event()
        self.is_paused.set()

    async def send(self, message: Message) -> None:
        await self.is_paused.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        else:
            self.body += bytes(message.get("body", b""))
            self.is_over = not message.get("more_body", False)

    async def done(self) -> "Client":
        assert self.task is not None
        await asyncio.wait_for(self.task, 30)
        return self

    def leave(self) -> None:
        self.left.set()


class Api:
    """One API: its queue, and requests to it."""

    def __init__(self, redis: LinkedRedis, **settings: Any) -> None:
        loaded = make_settings(**settings)
        self.queue, self.pulse = HeldQueue(), Pulse()
        bounds = Bounds(86_400, 2**24, 2**24)
        quiet_s, most = loaded.queue_position_after_s, loaded.client_buffer_bytes
        self.once = Once(KeptAnswers(redis, redis, bounds), self.pulse, quiet_s, most)
        self.app = assemble(loaded, cast(Any, None))
        self.app.state.context = Context(
            *(
                loaded,
                cast(Queue, self.queue),
                Registry(),
                Authenticator(loaded.token_values),
                self.pulse,
            ),
            *(Limiter(redis, 4, dict), Board(redis)),
            once=self.once,
        )

    def ask(
        self,
        body: bytes | None = None,
        key: str | None = KEY,
        path: str = CHAT,
        more: dict[str, str] | None = None,
        **claims: Any,
    ) -> Client:
        """Begins a request."""
        client = Client()
        told = {"authorization": f"Bearer {make_token(**claims)}", **(more or {})}
        if key is not None:
            told["idempotency-key"] = key
        scope = {
            **{"type": "http", "method": "POST", "path": path, "query_string": b"", "state": {}},
            "headers": [(name.encode(), value.encode()) for name, value in told.items()],
        }
        messages = [{"type": "http.request", "body": make_chat() if body is None else body}]

        async def receive() -> Message:
            if messages:
                return messages.pop()
            await client.left.wait()
            return {"type": "http.disconnect"}

        app = self.app.middleware_stack
        assert app is not None
        client.task = asyncio.create_task(app({**scope, "app": self.app}, receive, client.send))
        return client

    async def has_jobs(self, number: int) -> None:
        """Returns when so many have come."""
        await until(lambda: len(self.queue.jobs) >= number)

    async def has_followers(self, number: int) -> None:
        """Returns when so many clients follow the answers."""
        recordings = self.once._recordings.values()
        await until(lambda: sum(len(each.followers) for each in recordings) >= number)


@asynccontextmanager
async def apis(redis: LinkedRedis, number: int = 1, **settings: Any) -> AsyncIterator[list[Api]]:
    """So many APIs, whose pulse is fast."""
    running = [Api(redis, **settings) for _ in range(number)]

    async def beat() -> None:
        while True:
            await asyncio.sleep(0.01)
            for api in running:
                api.pulse.beat()

    tasks = [asyncio.create_task(beat())]
    try:
        yield running
    finally:
        await cancel(tasks)
