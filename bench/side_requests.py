"""How long requests without a slot take while all slots are busy, and how much they slow streams.

    .venv/bin/python -m bench.side_requests [--seconds N] [--flood N]

A stand-in server streams at a given speed in each of its slots. First one client asks /tokenize at
a steady pace: on an idle fleet, then while all slots are busy and 500 more chats wait. Then no chat
waits, and N clients flood /tokenize. The streams are compared with the time before the flood.
Columns: requests per second, their p50, p99 and longest time in ms; tokens/s of the slowest stream,
before and during the flood; p99 of the pauses of all streams in ms, before and during it.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import quantiles

import uvloop

from bench.load_generator import Client, Request
from bench.standin_server import MODEL
from dispatcher.connection import open_redis
from dispatcher.keys import Keys
from testing.builders import make_token
from testing.processes import LlamaServer, answers, api, bridge, free_port, program, valkey
from testing.waiting import until, wait_until

SLOTS, RATE = 8, 25.0  # tokens per second of each
WAITING = 500
ASKED_EVERY_S = 0.05
WITHIN_MS, PACE = 50.0, 0.9  # what is wanted
BODY_BYTES = 1000


@dataclass(frozen=True, slots=True)
class Parts:
    """What runs: the API's port, and Redis."""

    port: int
    redis_url: str


@contextmanager
def started(folder: Path) -> Iterator[Parts]:
    """A server, its bridge, and an API."""
    with ExitStack() as stack:
        redis_url = stack.enter_context(valkey(folder))
        server = LlamaServer(Path(), free_port(), MODEL, SLOTS)
        words = (server.port, SLOTS, RATE)
        command = [sys.executable, "-m", "bench.standin_server", *map(str, words)]
        stack.enter_context(program(command, folder / "server.log"))
        wait_until(lambda: answers(f"{server.url}/health"))
        stack.enter_context(bridge(redis_url, server, folder / "bridge.log", worker_name="w"))
        _, url = stack.enter_context(api(redis_url, folder / "api.log"))
        wait_until(lambda: answers(f"{url}/ready"))
        yield Parts(int(url.rpartition(":")[2]), redis_url)


def request(path: str, body: object, tenant: str) -> Request:
    """A request of one tenant."""
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: llamaq\r\nContent-Length: {len(content)}\r\n"
        f"Authorization: Bearer {make_token(sub=tenant)}\r\n\r\n"
    )
    return Request(head.encode() + content, seed=0, tokens=0, stream=False)


def chat(tenant: str) -> Request:
    """One that does not end by itself."""
    message = {"role": "user", "content": "Hi"}
    fields = {"model": MODEL, "stream": True, "max_tokens": 1_000_000}
    return request("/v1/chat/completions", {**fields, "messages": [message]}, tenant)


class Stream(Client):
    """Notes when its tokens come."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.came_s: list[float] = []

    def data_received(self, data: bytes) -> None:
        """Notes the time, for each token."""
        self.came_s += [time.perf_counter()] * data.count(b'"content":"')

    def since(self, began_s: float) -> list[float]:
        """When its tokens came since then."""
        return [at for at in self.came_s if at >= began_s]


@asynccontextmanager
async def streams(port: int, number: int, tenant: str) -> AsyncIterator[list[Stream]]:
    """A number of chats, while entered."""
    clients = [Stream(port) for _ in range(number)]
    asking = [asyncio.create_task(client.ask(chat(tenant))) for client in clients]
    try:
        yield clients
    finally:
        for client in clients:
            client.close()
        await asyncio.gather(*asking)


async def tokenize(client: Client, tenant: str) -> float:
    """How many ms one request took; fails where it has no answer."""
    text = "x" * BODY_BYTES
    exchange = await client.ask(request("/tokenize", {"content": text}, tenant))
    data = b"".join(piece for _, piece in exchange.pieces)
    if not exchange.complete or b'{"tokens":' not in data:
        raise RuntimeError(f"no answer: {data[:500]!r}")
    return (exchange.ended_s - exchange.sent_s) * 1000


async def ask_at_times(port: int, ends_s: float) -> list[float]:
    """One client, at a steady pace, until then."""
    client, took_ms = Client(port), []
    while time.perf_counter() < ends_s:
        took_ms.append(await tokenize(client, "asker"))
        await asyncio.sleep(ASKED_EVERY_S)
    client.close()
    return took_ms


async def flood(port: int, clients: int, ends_s: float) -> list[float]:
    """Each client sends its next request when it has an answer."""

    async def go_on() -> list[float]:
        client, took_ms = Client(port), []
        while time.perf_counter() < ends_s:
            took_ms.append(await tokenize(client, "flood"))
        client.close()
        return took_ms

    return [ms for each in await asyncio.gather(*[go_on() for _ in range(clients)]) for ms in each]


async def until_queued(parts: Parts, jobs: int) -> None:
    """Returns when this number of jobs waits."""
    redis = open_redis(parts.redis_url)

    async def are_there() -> bool:
        return bool(await redis.zcard(Keys(MODEL).named("queue")) == jobs)

    await until(are_there)
    await redis.aclose()


def said(took_ms: Sequence[float], lasted_s: float) -> str:
    """How many there were, and what they took."""
    cuts = quantiles(took_ms, n=100)
    rate = len(took_ms) / lasted_s
    return f"{rate:8.1f}/s  p50 {cuts[49]:6.1f}  p99 {cuts[98]:6.1f}  most {max(took_ms):6.1f} ms"


def paces(came: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The tokens/s of the slowest stream, and the p99 of all pauses in ms."""
    pauses = [(b - a) * 1000 for times in came for a, b in pairwise(times)]
    slowest = min((len(times) - 1) / (times[-1] - times[0]) for times in came)
    return slowest, quantiles(pauses, n=100)[98]


async def measure_waiting(parts: Parts, lasts_s: float) -> bool:
    """While all slots are busy, and others wait; and before, when nothing else is asked."""
    alone_ms = await ask_at_times(parts.port, time.perf_counter() + lasts_s)
    print(f"nothing else: {said(alone_ms, lasts_s)}", flush=True)
    async with streams(parts.port, SLOTS + WAITING, "waiting"):
        await until_queued(parts, WAITING)
        took_ms = await ask_at_times(parts.port, time.perf_counter() + lasts_s)
    print(f"{WAITING} wait: {said(took_ms, lasts_s)}", flush=True)
    return quantiles(took_ms, n=100)[98] <= WITHIN_MS


async def measure_flood(parts: Parts, clients: int, lasts_s: float) -> bool:
    """Beside streams that nobody else disturbs."""
    async with streams(parts.port, SLOTS, "stream") as chats:
        await until(lambda: all(len(chat.came_s) > RATE for chat in chats))
        before_s = time.perf_counter()
        await asyncio.sleep(lasts_s)
        alone = paces([chat.since(before_s) for chat in chats])
        began_s = time.perf_counter()
        took_ms = await flood(parts.port, clients, began_s + lasts_s)
        beside = paces([chat.since(began_s) for chat in chats])
    print(f"flood of {clients}: {said(took_ms, lasts_s)}")
    print(f"  slowest stream {alone[0]:.2f} > {beside[0]:.2f} tokens/s", end="")
    print(f"  p99 pause {alone[1]:.1f} > {beside[1]:.1f} ms", flush=True)
    return beside[0] >= PACE * alone[0]


async def measure(parts: Parts, clients: int, lasts_s: float) -> bool:
    """Both, one after the other."""
    is_quick = await measure_waiting(parts, lasts_s)
    await until_queued(parts, 0)
    return await measure_flood(parts, clients, lasts_s) and is_quick


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures; fails where it is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=15, help="of each part")
    parser.add_argument("--flood", type=int, default=16, help="clients")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, started(Path(folder)) as parts:
        is_well = uvloop.run(measure(parts, asked.flood, asked.seconds))
    sys.exit(0 if is_well else "not as it should be")


if __name__ == "__main__":
    main()
