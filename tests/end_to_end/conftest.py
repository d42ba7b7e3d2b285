"""One whole fleet for the tests that only look: Valkey, two real servers with bridges, the API."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from openai import OpenAI

from testing.builders import make_token
from testing.processes import LlamaServer, Program, answers, api, bridge, free_port, valkey
from testing.waiting import wait_until

SLOTS = 4


@dataclass(frozen=True, slots=True)
class Fleet:
    """What runs, and how to reach it."""

    url: str
    redis_url: str
    servers: tuple[LlamaServer, ...]
    api: Program
    server_pids: tuple[int, ...]
    clients: list[OpenAI] = field(default_factory=list)

    @property
    def token(self) -> str:
        return make_token()

    def openai(self) -> OpenAI:
        """A client that is closed with the fleet, if not before."""
        url = f"{self.url}/v1"
        client = OpenAI(base_url=url, api_key=self.token, max_retries=0, timeout=60)
        self.clients.append(client)
        return client

    def http(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory, models: dict[str, Path]) -> Iterator[Fleet]:
    """Two real llama.cpp servers with four slots each, behind one API, serving the model `tiny`."""
    folder = tmp_path_factory.mktemp("fleet")
    with ExitStack() as stack:
        redis_url = stack.enter_context(valkey(folder))
        servers = tuple(LlamaServer(models["tiny"], free_port(), "tiny", SLOTS) for _ in range(2))
        running, url = stack.enter_context(api(redis_url, folder / "api.log"))
        pids = []
        for number, server in enumerate(servers):
            program = stack.enter_context(server.running(folder / f"server{number}.log"))
            pids.append(program.process.pid)
            log = folder / f"bridge{number}.log"
            stack.enter_context(bridge(redis_url, server, log, worker_name=f"worker{number}"))
        wait_until(lambda: answers(f"{url}/ready"))
        fleet = Fleet(url, redis_url, servers, running, tuple(pids))
        yield fleet
        for client in fleet.clients:
            client.close()


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The URLs of a Redis and its API that the tests of one module share."""
    folder = tmp_path_factory.mktemp("queue")
    with valkey(folder) as redis_url, api(redis_url, folder / "api.log") as (_, api_url):
        yield redis_url, api_url
