"""A demo fleet with two more workers, one of whose names is HTML, and clients that keep it busy."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import randbelow
from typing import Any

import psutil
from redis import Redis

from dispatcher.keys import Keys
from dispatcher.protocol import PROTOCOL
from llamaq.dashboard_link import dashboard_link, link_claims
from testing.builders import SECRET, make_token
from testing.processes import (
    START_S,
    LlamaServer,
    Program,
    answers,
    api,
    free_port,
    llamaq,
    program,
    valkey,
)
from testing.waiting import wait_until

HOSTILE = "<img src=x onerror=window.hacked=1>"
TENANTS = ("web-ui", "batch", "ann", "<b>build</b>")


@dataclass(slots=True)
class Stage:
    """The fleet at `url`. `third` is the server of a worker beside those of the demo, and `bridge`
    has that worker.
    """

    url: str
    up: Program
    third: Program
    bridge: Program

    @property
    def link(self) -> str:
        return dashboard_link(self.url, link_claims(3600), SECRET)

    @property
    def api(self) -> psutil.Process:
        """The process of the API."""
        children = psutil.Process(self.up.process.pid).children()
        (found,) = [each for each in children if each.cmdline()[-2:] == ["llamaq", "api"]]
        return found


@contextmanager
def fleet(home: Path) -> Iterator[Stage]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    up = llamaq("up", "--demo", "--port", str(port), "--data-dir", str(home))
    settings = {"LLAMAQ_JWT_SECRET": SECRET}
    with program(up, home / "up.log", settings) as running:
        wait_until(lambda: answers(f"{url}/ready") or running.process.poll() is not None, START_S)
        server = LlamaServer(home / "demo.gguf", free_port(), "demo", 2)
        redis_url = (home / "redis_url").read_text().strip()
        joined = llamaq("bridge", "--name", "third", "--server", server.url)
        with (
            server.running(home / "server.log") as third,
            program(joined, home / "bridge.log", {"LLAMAQ_REDIS_URL": redis_url}) as bridge,
        ):
            wait_until(lambda: "joined worker=" in bridge.output, START_S)
            _join_with_odd_name(redis_url)
            yield Stage(url, running, third, bridge)


def _join_with_odd_name(redis_url: str) -> None:
    """Our own bridges refuse such a name. A machine that was invited writes what it likes."""
    with Redis.from_url(redis_url) as redis:
        row = {"server": f"http://{HOSTILE}", "health": "healthy", "accepting": 0, "slots": 1}
        row |= {"context": 512, "protocol": PROTOCOL, "host": HOSTILE, "reason": HOSTILE}
        redis.hset(Keys("demo").named("worker", HOSTILE), mapping=row)
        ends_ms = int(redis.time()[0] + 3600) * 1000
        redis.zadd(Keys("demo").named("workers"), {HOSTILE: ends_ms})


@contextmanager
def nobody(home: Path) -> Iterator[str]:
    """A link to the dashboard of an API that no worker has ever joined."""
    with valkey(home) as redis_url, api(redis_url, home / "api.log") as (_, url):
        yield dashboard_link(url, link_claims(3600), SECRET)


@dataclass(slots=True)
class Load:
    """Clients that ask one thing after the other, until the end."""

    url: str
    is_over: threading.Event = field(default_factory=threading.Event)

    def ask(self, tenant: str, tokens: int) -> str:
        """The last event of a stream; or how it was refused."""
        message = {"role": "user", "content": "Hello " * (5 + randbelow(55))}
        body = {"model": "demo", "stream": True, "max_tokens": tokens, "ignore_eos": True}
        headers = {"Authorization": f"Bearer {make_token(sub=tenant)}"}
        headers["Content-Type"] = "application/json"
        data = json.dumps(body | {"messages": [message]}).encode()
        request = urllib.request.Request(f"{self.url}/v1/chat/completions", data, headers)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return str(answer.read().decode().strip().rpartition("\n\n")[2])
        except (urllib.error.URLError, OSError) as error:
            return str(error)

    def run(self, tenant: str) -> None:
        while not self.is_over.is_set():
            self.ask(tenant, 60 + randbelow(440))


@contextmanager
def load(url: str, clients: int) -> Iterator[Load]:
    running = Load(url)
    threads = [
        threading.Thread(target=running.run, args=(TENANTS[number % len(TENANTS)],), daemon=True)
        for number in range(clients)
    ]
    for thread in threads:
        thread.start()
    try:
        yield running
    finally:
        running.is_over.set()
        for thread in threads:
            thread.join(60)


def answer_of(load: Load, tenant: str, tokens: int) -> tuple[threading.Thread, list[Any]]:
    """Asks beside what runs; the answer comes into the list."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(load.ask(tenant, tokens)), daemon=True)
    thread.start()
    return thread, found
