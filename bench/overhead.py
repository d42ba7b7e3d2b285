"""What llamaq costs: CPU time of API, bridge and Redis, and time to the first token it adds.

    .venv/bin/python bench/overhead.py

The baseline is the same load on the same stand-in server without llamaq, in the same run.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.standin_server import MODEL
from tests.builders import make_token
from tests.processes import (
    LlamaServer,
    answers,
    api,
    bridge,
    free_port,
    program,
    valkey,
    wait_until,
)


@dataclass(frozen=True, slots=True)
class Load:
    """So many requests, `at_once` of them at a time, of `tokens` tokens each."""

    name: str
    requests: int
    at_once: int
    tokens: int
    stream: bool
    rate: float


LOADS = (
    Load("one token, one at a time", 1000, 1, 1, stream=False, rate=0),
    Load("100 streams of 50 tokens/s", 100, 100, 400, stream=True, rate=50),
)


async def ask(port: int, load: Load) -> float:
    """Sends one request, reads all of the answer; seconds until its first byte."""
    body = {"model": MODEL, "stream": load.stream, "max_tokens": load.tokens}
    content = json.dumps({**body, "messages": [{"role": "user", "content": "Go on."}]}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer {make_token()}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.encode() + content)
    answer = first = await reader.read(65536)
    waited = time.perf_counter() - started
    while piece := await reader.read(65536):
        answer = (answer + piece)[-400:]
    writer.close()
    if not first.startswith(b"HTTP/1.1 200") or (load.stream and b"[DONE]" not in answer):
        raise RuntimeError(first[:200] + answer)
    return waited


async def run(port: int, load: Load) -> Sequence[float]:
    """The waits of all requests."""
    gate = asyncio.Semaphore(load.at_once)

    async def one() -> float:
        async with gate:
            return await ask(port, load)

    return await asyncio.gather(*(one() for _ in range(load.requests)))


def cpu_s(processes: Sequence[psutil.Process]) -> float:
    """CPU seconds that the processes have used so far."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def measure(load: Load) -> None:
    """Runs one load, with and without llamaq, and prints what it cost."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = LlamaServer(Path(), free_port(), MODEL, load.at_once)
        standin = Path(__file__).parent / "standin_server.py"
        command = [str(standin), str(server.port), str(load.at_once), str(load.rate)]
        stack.enter_context(program([sys.executable, *command], folder / "standin.log"))
        wait_until(lambda: answers(f"{server.url}/health"))
        redis_url = stack.enter_context(valkey(folder))
        bridging = stack.enter_context(bridge(redis_url, server, folder / "bridge.log"))
        serving, url = stack.enter_context(api(redis_url, folder / "api.log"))
        wait_until(lambda: answers(f"{url}/ready"))
        ours = [psutil.Process(p.process.pid) for p in (serving, bridging)]
        ours += [p for p in psutil.Process(os.getpid()).children() if "valkey" in p.name()]
        bare = asyncio.run(run(server.port, load))
        before = cpu_s(ours)
        waits = asyncio.run(run(int(url.rpartition(":")[2]), load))
        spent = cpu_s(ours) - before
    print(
        f"{load.name}: {spent / load.requests * 1e3:.2f} ms of CPU per request, "
        f"{spent / load.requests / load.tokens * 1e6:.0f} µs per token; "
        f"first byte after {median(waits) * 1e3:.1f} ms (without llamaq {median(bare) * 1e3:.1f})"
    )


if __name__ == "__main__":
    for each in LOADS:
        measure(each)
