"""`llamaq bridge -- COMMAND`: a bridge that starts its own real llama.cpp server."""

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from llamaq.__main__ import main
from testing.builders import make_token
from testing.processes import Program, answers, llamaq, program
from testing.started_server import lives, server_pid, server_url, slots_at_work
from testing.waiting import wait_until

pytestmark = pytest.mark.real

START_S = 60.0


class Launch:
    """A bridge that has started a server, and its client."""

    def __init__(self, bridge: Program, api_url: str, model: str) -> None:
        self.bridge = bridge
        self.model = model
        self._api_url = api_url

    @property
    def server_pid(self) -> int:
        return server_pid(self.bridge)

    def is_ready(self) -> bool:
        return answers(f"{self._api_url}/ready")

    def is_busy(self) -> bool:
        return slots_at_work(self.server_pid) > 0

    def ask(self, **fields: Any) -> httpx.Response:
        question = {"messages": [{"role": "user", "content": "Hello"}], "ignore_eos": True}
        headers = {"Authorization": f"Bearer {make_token()}"}
        url = f"{self._api_url}/v1/chat/completions"
        body = {"model": self.model} | question | fields
        return httpx.post(url, json=body, headers=headers, timeout=60, trust_env=False)


@contextmanager
def launched(
    queue: tuple[str, str], model: Path, log: Path, *options: str, **settings: str
) -> Iterator[Launch]:
    server = [sys.executable, "-m", "llamaq.demo_server", "-m", str(model), *options]
    environment = {"LLAMAQ_REDIS_URL": queue[0], **settings}
    with program(llamaq("bridge", "--", *server), log, environment) as bridge:
        launch = Launch(bridge, queue[1], model.stem)
        wait_until(lambda: "joined worker=" in bridge.output, START_S)
        yield launch


def test_killed_server_is_started_again_and_its_requests_are_answered(
    queue: tuple[str, str], models: dict[str, Path], tmp_path: Path
) -> None:
    with launched(queue, models["tiny"], tmp_path / "log", "--parallel", "2") as launch:
        assert launch.ask(max_tokens=5).status_code == 200
        assert "--parallel" not in launch.bridge.output
        killed = launch.server_pid
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: not launch.is_ready())
        assert launch.ask(max_tokens=5).status_code == 200
        assert launch.server_pid != killed
        server = launch.server_pid
        assert launch.bridge.stop() == 0
        assert not lives(server)


def test_server_that_stands_still_is_killed_and_started_again(
    queue: tuple[str, str], models: dict[str, Path], tmp_path: Path
) -> None:
    patience = {"LLAMAQ_STALL_PROMPT_S": "2"}
    with launched(queue, models["tiny"], tmp_path / "log", "-np", "2", **patience) as launch:
        silent = launch.server_pid
        os.kill(silent, signal.SIGSTOP)
        assert launch.ask(max_tokens=5).status_code == 200
        assert launch.server_pid != silent
        assert "gave no answer for 2 s: killing it" in launch.bridge.output


def test_sigterm_lets_the_answer_end_before_the_server(
    queue: tuple[str, str], models: dict[str, Path], tmp_path: Path
) -> None:
    with (
        launched(queue, models["small"], tmp_path / "log", "--parallel", "2") as launch,
        ThreadPoolExecutor(1) as pool,
    ):
        streamed = pool.submit(launch.ask, max_tokens=500, stream=True)
        wait_until(launch.is_busy)
        server = launch.server_pid
        launch.bridge.signal(signal.SIGTERM)
        wait_until(lambda: "draining" in launch.bridge.output)
        assert lives(server)
        assert streamed.result(30).text.endswith("data: [DONE]\n\n")
        assert launch.bridge.process.wait(30) == 0
        assert not lives(server)
        assert "Traceback" not in launch.bridge.output


def test_paused_machine_has_its_memory_back_until_the_pause_ends(
    queue: tuple[str, str], models: dict[str, Path], tmp_path: Path
) -> None:
    """Its owner names neither Redis nor a token."""

    def pause(*words: str) -> Result:
        return CliRunner().invoke(main, ["pause", *words], env={"LLAMAQ_DATA_DIR": str(tmp_path)})

    about = {"LLAMAQ_DATA_DIR": str(tmp_path), "LLAMAQ_WORKER_NAME": "desk"}
    with (
        launched(queue, models["small"], tmp_path / "log", "-np", "2", **about) as launch,
        ThreadPoolExecutor(2) as pool,
    ):
        streamed = pool.submit(launch.ask, max_tokens=300, stream=True)
        wait_until(launch.is_busy)
        server = launch.server_pid
        paused = pause("--for", "2h", "--unload")
        assert (paused.exit_code, paused.stderr) == (0, "")
        assert "It is heeded by: desk\ndesk: its llama-server ends when" in paused.stdout
        assert streamed.result(30).text.endswith("data: [DONE]\n\n")
        wait_until(lambda: not lives(server))
        waiting = pool.submit(launch.ask, max_tokens=5)
        assert json.loads(pause("--json").stdout)["bridges"] == [{"name": "desk", "frees": True}]
        assert pause("--end").exit_code == 0
        assert waiting.result(30).status_code == 200
        assert launch.server_pid != server


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of a parent's death")
def test_server_ends_with_a_bridge_that_is_killed(
    queue: tuple[str, str], models: dict[str, Path], tmp_path: Path
) -> None:
    with launched(queue, models["tiny"], tmp_path / "log", "--parallel", "2") as launch:
        server = launch.server_pid
        launch.bridge.kill()
        wait_until(lambda: not lives(server))


def test_missing_number_of_slots_is_warned_of(
    queue: tuple[str, str], models: dict[str, Path], tmp_path: Path
) -> None:
    with launched(queue, models["tiny"], tmp_path / "log") as launch:
        assert re.search("WARNING.*--parallel", launch.bridge.output)


def test_server_gets_the_key_that_the_bridge_uses(
    queue: tuple[str, str], models: dict[str, Path], tmp_path: Path
) -> None:
    key = {"LLAMAQ_SERVER_KEY": "a key of the server's own"}
    with launched(queue, models["tiny"], tmp_path / "log", "-np", "1", **key) as launch:
        assert (
            httpx.get(f"{server_url(launch.server_pid)}/slots", trust_env=False).status_code == 401
        )
        assert launch.ask(max_tokens=5).status_code == 200
        assert key["LLAMAQ_SERVER_KEY"] not in launch.bridge.output


def test_server_that_never_starts_is_tried_again_until_a_signal(
    queue: tuple[str, str], tmp_path: Path
) -> None:
    command = llamaq("bridge", "--", "sh", "-c", "echo out of memory; exit 3")
    with program(command, tmp_path / "log", {"LLAMAQ_REDIS_URL": queue[0]}) as bridge:
        wait_until(lambda: bridge.output.count("ended with code 3") == 2)
        assert "out of memory" in bridge.output
        assert bridge.stop(5) == 0
        assert "Traceback" not in bridge.output
