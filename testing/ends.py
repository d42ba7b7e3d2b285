"""The queue's two ends, as an API and a bridge use them. The test acts for the people."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from dispatcher.commands import Commands, Offer
from dispatcher.connection import open_redis
from dispatcher.continuation import Continuation
from dispatcher.cost import Usage
from dispatcher.frames import Frame, Kind
from dispatcher.job import Claim, Job, Toll, Want
from dispatcher.keys import Keys
from dispatcher.outbox import Outbox
from dispatcher.outgoing import Outgoing, Refusal
from dispatcher.queue import Queue
from dispatcher.reply import Reply
from dispatcher.settings import QueueSettings
from dispatcher.spacing import Pace
from dispatcher.worker import WorkerFacts, WorkerSession
from testing.relay import Relay
from testing.waiting import until

FACTS = WorkerFacts("tiny", "http://127.0.0.1:8080", "healthy", 2048, "b1", "f1")
KEYS = Keys("tiny")
REST = Continuation(b'{"rest":1}', True, prompt_tokens=4, completion_tokens=2, seen_tokens=3)
DONE = b'{"prompt_tokens":1,"completion_tokens":2}'


def make_job(id_: str = "j1", tenant: str = "ann", *wants: Want) -> Job:
    return Job(id_, "tiny", tenant, b'{"ask":1}', frozenset(wants), wait_s=30, deadline_s=60)


def make_settings(url: str, **changes: int) -> QueueSettings:
    return QueueSettings(redis_url=url, lease_s=2, **changes)  # type: ignore[arg-type]


class Client:
    """Submits one job and reads its reply."""

    def __init__(self, queue: Queue, job: Job) -> None:
        self.queue, self.job = queue, job
        self.news = asyncio.Event()
        self.frames: list[Frame] = []
        self.reply: Reply

    async def submit(self) -> "Client":
        self.reply = await self.queue.submit(self.job, self.news.set)
        return self

    async def read_to(self, kind: Kind) -> list[tuple[str, bytes]]:
        """All frames up to one of this kind."""
        async with asyncio.timeout(30):
            while not any(frame.kind is kind for frame in self.frames):
                await self.news.wait()
                self.news.clear()
                self.frames += self.reply.take()
        return [(frame.kind.value, frame.payload) for frame in self.frames]

    def close(self) -> None:
        self.queue.close(self.job)


class Speaker:
    """An attempt that remembers what the outbox says, and goes on."""

    def __init__(self) -> None:
        self.refusals: list[Refusal] = []
        self.heard: list[str] = []

    def refused(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)

    def pause(self) -> None:
        self.heard.append("pause")

    def resume(self) -> None:
        self.heard.append("resume")

    def read(self) -> None:
        self.heard.append("read")

    def listen(self) -> None:
        self.heard.append("listen")


@dataclass
class Sender:
    """Who an outbox sends for."""

    epoch: str = "e"

    @property
    def identity(self) -> tuple[str, str]:
        return "w", self.epoch


class Server:
    """A bridge without a llama-server: the test is the one that answers."""

    def __init__(self, redis: Redis) -> None:
        self.session = WorkerSession("w", Commands(redis, KEYS), 60)
        self.outbox = Outbox(
            Commands(redis, KEYS), self.session, make_settings("redis://unused"), lambda: None
        )
        self._said: dict[str, Outgoing] = {}

    async def join(self, slots: int = 2) -> None:
        self.session.end_epoch()
        await self.session.register(slots, True, FACTS)

    async def take(self) -> Claim:
        claims: list[Claim] = []

        async def claimed() -> bool:
            claims.extend((await self.session.claim(Offer(1))).claims)
            return bool(claims)

        await until(claimed)
        return claims[0]

    def start(self, claim: Claim) -> None:
        """Its first frame."""
        payload = json.dumps({"worker": "w", "queue_ms": 1, "build": FACTS.fingerprint}).encode()
        self._of(claim, 0).add(Kind.STARTED, payload, Pace.LAZY)

    def say(self, claim: Claim, seq: int, payload: bytes, *, visible: bool = True) -> None:
        said = self._of(claim, seq)
        said._streamed = visible
        said.add(Kind.CHUNK, payload, Pace.NOW)

    async def finish(self, claim: Claim, seq: int) -> None:
        frames = await rest_of(self.outbox, self._of(claim, seq))
        frames.append(Frame(Kind.DONE, seq, payload=DONE))
        await self.session.finish(claim.attempt_id, "done", frames, Usage(1, 2))

    def _of(self, claim: Claim, seq: int) -> Outgoing:
        """What it has to say of this claim, from its frame number `seq` on."""
        if claim.attempt_id not in self._said:
            self._said[claim.attempt_id] = self.outbox.open(claim, Speaker())
        self._said[claim.attempt_id]._seq = seq
        return self._said[claim.attempt_id]


async def rest_of(outbox: Outbox, outgoing: Outgoing) -> list[Frame]:
    """The frames that an attempt has left at its end."""
    rest: asyncio.Future[list[Frame]] = asyncio.get_running_loop().create_future()
    outbox.close(outgoing, rest.set_result)
    return await rest


async def see_a_part(server: Server, client: Client) -> Claim:
    claim = await server.take()
    server.start(claim)
    server.say(claim, 1, b"a part")
    await client.read_to(Kind.CHUNK)
    return claim


async def lose(server: Server, client: Client) -> Claim:
    """An attempt that ends when its client has seen a part."""
    claim = await see_a_part(server, client)
    await server.session.release(claim.attempt_id, toll=Toll.ATTEMPT, error=b"{}")
    await client.read_to(Kind.LOST)
    return claim


@asynccontextmanager
async def over(relay: Relay, redis_url: str) -> AsyncIterator[Queue]:
    """A queue whose calls go over a relay; what blocks goes straight."""
    async with Queue(make_settings(redis_url), 2**20) as queue:
        for client in (queue.redis, queue.lifeline):
            await client.aclose()
        queue.redis, queue.lifeline = open_redis(relay.url), open_redis(relay.url)
        yield queue
