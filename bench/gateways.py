"""Starts llamaq, sglang-router or HAProxy for llama.cpp servers. Benchmarks only."""

import json
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from testing.waiting import wait_until

sys.path.insert(0, str(Path(__file__).parents[1]))

import bench.haproxy
from testing.builders import make_token
from testing.processes import LlamaServer, answers, api, bridge, free_port, program, valkey

MODEL = "chat"


@dataclass(frozen=True, slots=True)
class Gateway:
    """The address for clients; `redis_url` is that of llamaq's queue, else empty."""

    url: str
    redis_url: str = ""

    def headers(self, tenant: str) -> dict[str, str]:
        """What a tenant's requests carry; sglang-router looks at none of it."""
        return {"Authorization": f"Bearer {make_token(sub=tenant)}"}


Opener = Callable[[Sequence[LlamaServer], Path], AbstractContextManager[Gateway]]


@contextmanager
def llamaq(servers: Sequence[LlamaServer], folder: Path) -> Iterator[Gateway]:
    """A real queue, a bridge beside each server, one API."""
    with ExitStack() as stack:
        redis_url = stack.enter_context(valkey(folder))
        for server in servers:
            log = folder / f"bridge-{server.alias}.log"
            named = {"model": MODEL, "worker_name": server.alias}
            stack.enter_context(bridge(redis_url, server, log, **named))
        _, url = stack.enter_context(api(redis_url, folder / "api.log"))
        wait_until(lambda: answers(f"{url}/ready"))
        yield Gateway(url, redis_url)


def sglang(python: str, policy: str) -> Opener:
    """sglang-router with this policy, by the Python that has it installed."""

    @contextmanager
    def open_(servers: Sequence[LlamaServer], folder: Path) -> Iterator[Gateway]:
        port = free_port()
        command = [
            *(python, "-m", "sglang_router.launch_router", "--host", "127.0.0.1"),
            *("--worker-urls", *(server.url for server in servers)),
            *("--policy", policy, "--port", str(port), "--log-level", "warn"),
            *("--prometheus-host", "127.0.0.1", "--prometheus-port", str(free_port())),
        ]
        with program(command, folder / "sglang.log"):
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: _ready(url) == len(servers), 60)
            yield Gateway(url)

    return open_


def _ready(url: str) -> int:
    try:
        with urllib.request.urlopen(f"{url}/readiness", timeout=2) as answer:  # noqa: S310
            return int(json.load(answer)["healthy_workers"])
    except OSError:
        return 0


@contextmanager
def haproxy(servers: Sequence[LlamaServer], folder: Path) -> Iterator[Gateway]:
    """HAProxy that gives each server as many requests as it has slots, and queues the others."""
    with bench.haproxy.haproxy(servers, folder) as port:
        yield Gateway(f"http://127.0.0.1:{port}")
