"""Sends requests: a fixed number at once, or each at its time."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from bench.mixed_fleet.fleet import System
from bench.mixed_fleet.jobs import Job
from bench.standin_server import MODEL

AT_ONCE = 24


@dataclass(frozen=True, slots=True)
class Asked:
    """When a request was due and was over, by the monotonic clock; `ok` if it was answered."""

    due_s: float
    ended_s: float
    ok: bool

    @property
    def latency_s(self) -> float:
        """How long its client waited."""
        return self.ended_s - self.due_s


async def ask(system: System, token: str, job: Job, due_s: float, stream: bool) -> Asked:
    """Sends one request when it is due, and reads all of its answer."""
    clock = asyncio.get_running_loop().time
    body = {"model": MODEL, "stream": stream, "max_tokens": job.tokens, "seed": job.number}
    content = json.dumps({**body, "messages": [{"role": "user", "content": job.prompt}]}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    if due_s > clock():
        await asyncio.sleep(due_s - clock())
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", system.port)
        writer.write(head.encode() + content)
        first = end = await reader.read(65536)
        while piece := await reader.read(65536):
            end = (end + piece)[-400:]
        writer.close()
    except OSError:
        return Asked(due_s, clock(), ok=False)
    complete = b"[DONE]" in end if stream else True
    return Asked(due_s, clock(), ok=first.startswith(b"HTTP/1.1 200") and complete)


async def closed_loop(system: System, jobs: Iterable[Job], stream: bool = True) -> list[Asked]:
    """Each of `AT_ONCE` clients sends its next request when the last one was answered."""
    left, clock = iter(jobs), asyncio.get_running_loop().time

    async def client(token: str) -> list[Asked]:
        return [await ask(system, token, job, clock(), stream) for job in left]

    clients = (client(system.token(number)) for number in range(AT_ONCE))
    return list(chain(*await asyncio.gather(*clients)))


async def at_times(system: System, jobs: Iterable[Job], scale: float) -> list[Asked]:
    """Each request at its time, `scale` times as fast."""
    tokens = [system.token(job.number) for job in jobs]
    start_s = asyncio.get_running_loop().time() + 0.05
    calls = (
        ask(system, token, job, start_s + job.at_s / scale, stream=True)
        for token, job in zip(tokens, jobs, strict=True)
    )
    return list(await asyncio.gather(*calls))
