"""Many embeddings over servers of unequal speed, with a chat beside them.

    .venv/bin/python -m bench.embeddings [--pieces N …] [--tokens N] [--size N]

Requests of 2,000 inputs each come at once. Three stand-in servers have speeds of 4:4:1. The ideal
time is all tokens divided by the speed of the fleet. A chat runs meanwhile, and again when nothing
else runs. `--pieces` is the most pieces of a request: by default as the product does. Columns: the
time divided by the ideal one; tokens/s of the chat, alone and beside the load; its longest pause;
CPU seconds of the API, the bridges and Redis.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import httpx
import psutil

from api.embeddings import pieces
from bench.standin_server import BYTES_PER_TOKEN, MODEL
from testing.builders import SECRET, make_token
from testing.processes import LlamaServer, answers, bridge, free_port, program, valkey
from testing.waiting import wait_until

SPEEDS = (4, 4, 1)
SLOTS = 4
REQUESTS, INPUTS = 32, 2000
CHAT_RATE = 50.0
WITHIN_IDEAL, PACE = 1.1, 0.95  # what is wanted
_API = (
    "import sys, api.embeddings.pieces as p; p.MOST_PIECES = int(sys.argv.pop(1)); "
    "from llamaq.__main__ import main; main()"
)


@dataclass(frozen=True, slots=True)
class Chat:
    """How a stream went: tokens per second, and the longest time between two."""

    rate: float
    pause_s: float


@contextmanager
def started(rate: float, size: int, most: int, folder: Path) -> Iterator[str]:
    """Starts the servers, given the tokens/s of the slowest, and llamaq; yields its URL."""
    with ExitStack() as stack:
        redis_url = stack.enter_context(valkey(folder))
        for number, speed in enumerate(SPEEDS):
            server = LlamaServer(Path(), free_port(), MODEL, SLOTS)
            words = (server.port, SLOTS, rate * speed, CHAT_RATE, size)
            command = [sys.executable, "-m", "bench.standin_embedder", *map(str, words)]
            stack.enter_context(program(command, folder / f"server{number}.log"))
            wait_until(lambda url=server.url: answers(f"{url}/health"))  # type: ignore[misc]
            log = folder / f"bridge{number}.log"
            stack.enter_context(bridge(redis_url, server, log, worker_name=f"w{number}"))
        port = free_port()
        environment = {"LLAMAQ_REDIS_URL": redis_url, "LLAMAQ_JWT_SECRET": SECRET}
        environment |= {"LLAMAQ_PORT": str(port)}
        command = [sys.executable, "-c", _API, str(most), "api"]
        stack.enter_context(program(command, folder / "api.log", environment))
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/ready"))
        yield f"http://127.0.0.1:{port}/v1"


def client_of(url: str, tenant: str) -> httpx.AsyncClient:
    """A client of one tenant."""
    headers = {"Authorization": f"Bearer {make_token(sub=tenant)}"}
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=300)


async def embed(client: httpx.AsyncClient, body: bytes) -> None:
    """One request; fails where its answer is not whole."""
    answer = await client.post("/embeddings", content=body)
    if answer.status_code != 200 or answer.content.count(b'"index":') != INPUTS:
        raise RuntimeError(f"not the whole answer: {answer.status_code} {answer.text[:500]}")


async def talk(url: str, over: asyncio.Event) -> Chat:
    """A chat, until it is `over`."""
    asked = {"model": MODEL, "stream": True, "max_tokens": 100_000}
    asked |= {"messages": [{"role": "user", "content": "Hi"}]}
    came = []
    async with (
        client_of(url, "chat") as client,
        client.stream("POST", "/chat/completions", json=asked) as answer,
    ):
        async for line in answer.aiter_lines():
            came += [time.monotonic()] * line.startswith("data: ")
            if over.is_set():
                break
    pauses = [later - sooner for sooner, later in pairwise(came)]
    return Chat(len(pauses) / sum(pauses), max(pauses))


async def measured(url: str, body: bytes) -> tuple[float, Chat, Chat]:
    """How many seconds the requests took; the chat alone, and beside them."""
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(5, over.set)
    alone = await talk(url, over)
    over = asyncio.Event()
    chat = asyncio.create_task(talk(url, over))
    await asyncio.sleep(1)
    async with client_of(url, "rag") as client:
        began = time.monotonic()
        await asyncio.gather(*[embed(client, body) for _ in range(REQUESTS)])
        took_s = time.monotonic() - began
    over.set()
    return took_s, alone, await chat


def cpu_s() -> float:
    """CPU seconds of llamaq's processes and of Redis so far."""
    parts = psutil.Process(os.getpid()).children(recursive=True)
    ours = [part for part in parts if "bench.standin_embedder" not in part.cmdline()]
    return sum(sum(part.cpu_times()[:2]) for part in ours)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, and prints a row for each number of pieces."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pieces", type=int, nargs="+", default=[pieces.MOST_PIECES])
    parser.add_argument("--tokens", type=int, default=50, help="of each input")
    parser.add_argument("--size", type=int, default=384, help="numbers of a vector")
    parser.add_argument("--ideal-s", type=float, default=20)
    asked = parser.parse_args(arguments)
    text = "x" * (asked.tokens * BYTES_PER_TOKEN)
    body = json.dumps({"model": MODEL, "input": [text] * INPUTS, "encoding_format": "base64"})
    rate = REQUESTS * INPUTS * asked.tokens / sum(SPEEDS) / asked.ideal_s
    print("pieces  time/ideal  chat/s alone  beside  longest pause  CPU s")
    for most in asked.pieces:
        with (
            tempfile.TemporaryDirectory() as folder,
            started(rate, asked.size, most, Path(folder)) as url,
        ):
            before = cpu_s()
            took_s, alone, beside = asyncio.run(measured(url, body.encode()))
            part, used_s = took_s / asked.ideal_s, cpu_s() - before
        is_well = part <= WITHIN_IDEAL and beside.rate >= PACE * alone.rate
        print(
            f"{most:6}  {part:10.3f}  {alone.rate:12.1f}  {beside.rate:6.1f}"
            f"  {beside.pause_s:11.3f} s  {used_s:5.1f}  {'' if is_well else 'too slow'}"
        )


if __name__ == "__main__":
    main()
