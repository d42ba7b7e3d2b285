"""`llamaq bridge --models`: real llama.cpp servers that are loaded when somebody asks for them."""

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from llamaq.demo_model import write_demo_model
from testing.builders import make_token
from testing.processes import Program, llamaq, program
from testing.started_server import server_pid, slots_at_work
from testing.waiting import wait_until

pytestmark = pytest.mark.real

# One of the models takes its time to load.
SLOWLY = 'case "$*" in *slow.gguf*) sleep 2.2;; esac; exec "$@"'
SERVER = (
    *("sh", "-c", SLOWLY, "sh", sys.executable, "-m", "llamaq.demo_server"),
    *("--parallel", "2", "--ctx-size", "8192"),
)
BOUND_S = 1.5
LONG = 1500  # tokens: longer than that


class Host:
    """A bridge with models on its shelf, and its clients."""

    def __init__(self, bridge: Program, api_url: str) -> None:
        self.bridge = bridge
        self.pool = ThreadPoolExecutor(16)
        headers = {"Authorization": f"Bearer {make_token()}"}
        self.http = httpx.Client(base_url=api_url, headers=headers, timeout=60, trust_env=False)

    def ask(self, model: str, **fields: Any) -> httpx.Response:
        body = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 5, "model": model}
        return self.http.post("/v1/chat/completions", json=body | fields)

    def start(self, model: str, **fields: Any) -> Future[httpx.Response]:
        return self.pool.submit(self.ask, model, **fields)

    @property
    def loads(self) -> list[str]:
        return re.findall(r"\bloading model=(\S+)", self.bridge.output)

    def statuses(self) -> dict[str, str]:
        rows = self.http.get("/v1/models").json()["data"]
        return {row["id"]: row["status"]["value"] for row in rows}

    def has(self, **statuses: str) -> Callable[[], bool]:
        return lambda: statuses.items() <= self.statuses().items()


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models of different weights, and one that is slow to load."""
    folder = tmp_path_factory.mktemp("shelf")
    for seed, name in enumerate(("a", "b")):
        write_demo_model(folder / f"{name}.gguf", seed=seed, stop_rate=0)
    shutil.copy(folder / "a.gguf", folder / "slow.gguf")
    return folder


@contextmanager
def hosted(queue: tuple[str, str], shelf: Path, log: Path, **settings: str) -> Iterator[Host]:
    told = {"LLAMAQ_REDIS_URL": queue[0], "LLAMAQ_SWAP_AFTER_S": str(BOUND_S), **settings}
    with program(llamaq("bridge", "--models", str(shelf), "--", *SERVER), log, told) as bridge:
        host = Host(bridge, queue[1])
        try:
            wait_until(lambda: {"a", "b"} <= host.statuses().keys())
            yield host
        finally:
            host.pool.shutdown(cancel_futures=True)
            host.http.close()
        assert "Traceback" not in bridge.output


@pytest.fixture(scope="module")
def host(
    queue: tuple[str, str], shelf: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    with hosted(queue, shelf, tmp_path_factory.mktemp("host") / "log") as host:
        yield host


def test_requests_for_two_models_in_turn_cost_two_loads(host: Host) -> None:
    answers = [host.start(model, stream=True) for model in "ababab"]
    for answer in answers:
        response = answer.result(40)
        assert response.status_code == 200
        assert response.text.endswith("data: [DONE]\n\n")
    assert sorted(host.loads) == ["a", "b"]
    first, second = host.loads
    assert host.statuses() | {first: "unloaded", second: "loaded"} == host.statuses()


def test_stream_that_runs_ends_before_another_model_comes(host: Host) -> None:
    first = next((name for name, is_ in host.statuses().items() if is_ == "loaded"), "a")
    assert host.ask(first).status_code == 200
    running = host.start(first, stream=True, max_tokens=LONG, ignore_eos=True)
    wait_until(lambda: slots_at_work(server_pid(host.bridge)))
    waiting = host.start("slow", stream=True)
    text = waiting.result(30).text
    assert ": loading model=slow\n" in text
    assert text.endswith("data: [DONE]\n\n")
    assert running.done()
    assert running.result().text.endswith("data: [DONE]\n\n")
    assert '"finish_reason":"length"' in running.result().text
