"""A bridge needs nothing that Windows or macOS lacks: it runs where all of that is taken away."""

import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from testing.builders import make_token
from testing.processes import Program, answers, api, free_port, program, valkey
from testing.started_server import lives, server_pid, slots_at_work
from testing.waiting import wait_until

pytestmark = pytest.mark.real

PLAIN = (sys.executable, "-m", "testing.plain_machine", "bridge")
START_S = 60.0


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The URLs of a Redis on a TCP port, and of its API."""
    folder, port = tmp_path_factory.mktemp("queue"), free_port()
    with (
        valkey(folder, "--port", str(port)) as redis_url,
        api(redis_url, folder / "api.log") as (_, api_url),
    ):
        yield f"redis://127.0.0.1:{port}", api_url


@contextmanager
def plain_bridge(queue: tuple[str, str], model: Path, log: Path) -> Iterator[Program]:
    """A bridge without what others lack, and with a real llama.cpp server that it has started."""
    server = (sys.executable, "-m", "llamaq.demo_server", "-m", str(model), "--parallel", "2")
    environment = {"LLAMAQ_REDIS_URL": queue[0]}
    with program([*PLAIN, "--", *server], log, environment) as bridge:
        wait_until(lambda: "joined worker=" in bridge.output or bridge.process.poll(), START_S)
        assert bridge.process.poll() is None, bridge.output
        yield bridge


def ask(queue: tuple[str, str], tokens: int, *, stream: bool = False) -> httpx.Response:
    body = {
        **{"model": "small", "max_tokens": tokens, "stream": stream, "ignore_eos": True},
        "messages": [{"role": "user", "content": "Hello"}],
    }
    headers = {"Authorization": f"Bearer {make_token()}"}
    url = f"{queue[1]}/v1/chat/completions"
    return httpx.post(url, json=body, headers=headers, timeout=60, trust_env=False)


def test_bridge_serves_restarts_its_server_and_drains(
    queue: tuple[str, str], models: dict[str, Path], tmp_path: Path
) -> None:
    with (
        plain_bridge(queue, models["small"], tmp_path / "log") as bridge,
        ThreadPoolExecutor(1) as pool,
    ):
        killed = server_pid(bridge)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: not answers(f"{queue[1]}/ready"))
        assert ask(queue, 5).json()["usage"]["completion_tokens"] == 5
        server = server_pid(bridge)
        assert server != killed
        streamed = pool.submit(ask, queue, 300, stream=True)
        wait_until(lambda: slots_at_work(server))
        bridge.signal(signal.SIGINT)  # Windows has no other one that a program can heed
        wait_until(lambda: "draining" in bridge.output)
        assert lives(server)
        assert streamed.result(30).text.endswith("data: [DONE]\n\n")
        assert bridge.process.wait(30) == 0
        assert not lives(server)
        assert "Traceback" not in bridge.output
