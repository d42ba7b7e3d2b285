"""Bridges, real llama.cpp servers and clients that are stopped while work goes on."""

import asyncio
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from dispatcher.connection import open_redis
from dispatcher.model_state import ModelState
from dispatcher.registry import read_models
from dispatcher.worker_state import WorkerState
from testing.builders import make_token
from testing.processes import LlamaServer, Program, api, bridge, free_port, llamaq, program, valkey
from testing.waiting import wait_until

pytestmark = pytest.mark.real

QUESTION: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Tell me a story."}],
    "ignore_eos": True,
}


class Scene:
    """One model of its own name, with servers, bridges and clients."""

    def __init__(self, url: str, redis_url: str, folder: Path, model: Path, slots: int) -> None:
        self.alias = f"m-{secrets.token_hex(4)}"
        self.redis_url = redis_url
        self._url = url
        self._folder = folder
        self._model = model
        self._slots = slots
        self._stack = ExitStack()

    def close(self) -> None:
        self._stack.close()

    def server(self) -> LlamaServer:
        return LlamaServer(self._model, free_port(), self.alias, self._slots)

    def start(self, server: LlamaServer) -> Program:
        return self._stack.enter_context(server.running(self._folder / f"{server.port}.log"))

    def bridge(self, server: LlamaServer, name: str, **settings: str) -> Program:
        told = {"worker_name": name, **settings}
        log = self._folder / f"{name}.log"
        return self._stack.enter_context(bridge(self.redis_url, server, log, **told))

    def workers(self) -> dict[str, WorkerState]:
        """The workers by the names that `bridge` gave them."""
        state = self.state()
        return {w.id.rsplit("-", 1)[0]: w for w in state.workers} if state else {}

    def state(self) -> ModelState | None:
        """What Redis knows of the model."""

        async def read() -> list[ModelState]:
            redis = open_redis(self.redis_url)
            try:
                return await read_models(redis)
            finally:
                await redis.aclose()

        return next((state for state in asyncio.run(read()) if state.model == self.alias), None)

    def queued(self) -> int:
        state = self.state()
        return state.queued if state else 0

    def accepts(self, name: str) -> Callable[[], bool]:
        return lambda: (worker := self.workers().get(name)) is not None and worker.accepting

    def refuses(self, name: str) -> Callable[[], bool]:
        return lambda: not self.accepts(name)()

    def runs(self, name: str) -> Callable[[], bool]:
        return lambda: (worker := self.workers().get(name)) is not None and worker.running > 0

    def client(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {make_token()}"}
        return httpx.Client(base_url=self._url, headers=headers, timeout=60)

    def body(self, **fields: Any) -> dict[str, Any]:
        return {"model": self.alias} | QUESTION | fields

    def ask(self, **fields: Any) -> httpx.Response:
        with self.client() as client:
            return client.post("/v1/chat/completions", json=self.body(**fields))


@pytest.fixture(scope="module")
def api_url(real_redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with api(real_redis_url, tmp_path_factory.mktemp("api") / "api.log") as (_, url):
        yield url


MakeScene = Callable[..., Scene]


@pytest.fixture
def scene(
    api_url: str, real_redis_url: str, tmp_path: Path, models: dict[str, Path]
) -> Iterator[MakeScene]:
    """Makes the scene of a test: its size of model, and its slots per server."""
    with ExitStack() as stack:

        def make(size: str, slots: int) -> Scene:
            scene = Scene(api_url, real_redis_url, tmp_path, models[size], slots)
            stack.callback(scene.close)
            return scene

        yield make


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def busy(server: LlamaServer) -> int:
    slots = httpx.get(f"{server.url}/slots", timeout=5, trust_env=False).json()
    return sum(slot["is_processing"] for slot in slots)


class Crowd:
    """Clients that ask all the time, without streaming, and what they got."""

    def __init__(self, scene: Scene, pool: ThreadPoolExecutor, clients: int) -> None:
        self.answers: list[httpx.Response] = []
        self._over = threading.Event()
        self._running = [pool.submit(self._ask, scene) for _ in range(clients)]

    def _ask(self, scene: Scene) -> None:
        with scene.client() as client:
            while not self._over.is_set():
                # Of a conversation of its own: none waits for the worker that has it in its cache.
                story = [{"role": "user", "content": f"Tell me story {secrets.token_hex(3)}."}]
                body = scene.body(max_tokens=60, messages=story)
                self.answers.append(client.post("/v1/chat/completions", json=body))

    def names(self, since: int) -> set[str]:
        """The workers that made the answers from number `since` on."""
        found = [answer.headers.get("x-llamaq-worker", "?") for answer in self.answers[since:]]
        return {name.rsplit("-", 1)[0] for name in found}

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def disperse(self) -> None:
        self._over.set()
        for client in self._running:
            client.result(60)


def test_stopped_server_gets_nothing_until_it_is_back_and_no_request_fails(
    scene: MakeScene, pool: ThreadPoolExecutor
) -> None:
    stage = scene("tiny", 2)
    first, second = stage.server(), stage.server()
    running = stage.start(first)
    stage.start(second)
    stage.bridge(first, "first")
    stage.bridge(second, "second")
    running.kill()
    assert wait_until(stage.refuses("first")) < 2.5  # with nothing to do

    running = stage.start(first)
    wait_until(stage.accepts("first"))
    with Crowd(stage, pool, 3) as crowd:
        wait_until(lambda: crowd.names(0) == {"first", "second"})
        running.kill()
        assert wait_until(stage.refuses("first")) < 1  # a request fails at once
        mark = len(crowd.answers) + 3  # as many may be on their way
        wait_until(lambda: len(crowd.answers) > mark + 20)
        assert crowd.names(mark) == {"second"}

        stage.start(first)
        wait_until(stage.accepts("first"))
        mark = len(crowd.answers)
        wait_until(lambda: "first" in crowd.names(mark))
        crowd.disperse()
    assert {answer.status_code for answer in crowd.answers} == {200}
    assert all(a.json()["usage"]["completion_tokens"] == 60 for a in crowd.answers)


def test_server_that_stands_still_gets_no_work_until_it_moves_again(scene: MakeScene) -> None:
    stage = scene("tiny", 2)
    server = stage.server()
    running = stage.start(server)
    stage.bridge(server, "only")
    running.signal(signal.SIGSTOP)
    assert wait_until(stage.refuses("only")) < 5
    running.signal(signal.SIGCONT)
    wait_until(stage.accepts("only"))
    assert stage.ask(max_tokens=5).status_code == 200


def test_job_of_a_server_that_stands_still_moves_on_and_the_server_comes_back(
    scene: MakeScene, pool: ThreadPoolExecutor
) -> None:
    stage = scene("small", 1)
    first, second = stage.server(), stage.server()
    running = stage.start(first)
    stage.start(second)
    stage.bridge(first, "first", stall_token_s="1", stall_prompt_s="1")
    asked = pool.submit(stage.ask, max_tokens=300)
    wait_until(lambda: busy(first) == 1)
    running.signal(signal.SIGSTOP)
    stage.bridge(second, "second")
    answer = asked.result(60)
    assert answer.headers["x-llamaq-worker"].startswith("second")
    assert answer.json()["usage"]["completion_tokens"] == 300
    running.signal(signal.SIGCONT)
    wait_until(stage.accepts("first"))
    wait_until(lambda: busy(first) == 0)


def test_second_bridge_of_a_server_ends_with_an_error(scene: MakeScene, tmp_path: Path) -> None:
    stage = scene("tiny", 2)
    server = stage.server()
    stage.start(server)
    first = stage.bridge(server, "first")
    environment = {"LLAMAQ_REDIS_URL": stage.redis_url, "LLAMAQ_SERVER": server.url}
    with program(llamaq("bridge"), tmp_path / "second.log", environment) as second:
        assert second.process.wait(30) == 1
        assert "has a bridge already, worker first-" in second.output.splitlines()[-1]
        assert "Traceback" not in second.output
    first.kill()
    stage.bridge(server, "third")
    assert stage.ask(max_tokens=5).headers["x-llamaq-worker"].startswith("third")


def test_sigterm_lets_the_running_answer_end_and_takes_no_other(
    scene: MakeScene, pool: ThreadPoolExecutor
) -> None:
    stage = scene("small", 2)
    first, second = stage.server(), stage.server()
    stage.start(first)
    leaving = stage.bridge(first, "leaving")
    streamed = pool.submit(stage.ask, max_tokens=500, stream=True)
    wait_until(stage.runs("leaving"))
    leaving.signal(signal.SIGTERM)
    wait_until(stage.refuses("leaving"))
    later = pool.submit(stage.ask, max_tokens=5)
    events = streamed.result(60).text.split("\n\n")
    assert "data: [DONE]" in events
    assert sum('"content":"' in event for event in events) > 400
    assert leaving.process.wait(30) == 0
    assert "leaving" not in stage.workers()
    stage.start(second)
    stage.bridge(second, "staying")
    assert later.result(60).headers["x-llamaq-worker"].startswith("staying")


def test_second_sigterm_gives_the_jobs_back_at_once(
    scene: MakeScene, pool: ThreadPoolExecutor
) -> None:
    stage = scene("small", 1)
    first, second = stage.server(), stage.server()
    stage.start(first)
    leaving = stage.bridge(first, "leaving")
    asked = pool.submit(stage.ask, max_tokens=900)
    wait_until(lambda: busy(first) == 1)
    leaving.signal(signal.SIGTERM)
    wait_until(lambda: "draining" in leaving.output)
    assert leaving.process.poll() is None
    leaving.signal(signal.SIGTERM)
    assert leaving.process.wait(30) == 0
    wait_until(lambda: busy(first) == 0)
    stage.start(second)
    stage.bridge(second, "staying")
    answer = asked.result(60)
    assert answer.headers["x-llamaq-worker"].startswith("staying")  # it was not waited for
    assert answer.json()["usage"]["completion_tokens"] == 900


def test_second_sigterm_ends_a_bridge_whose_redis_is_away(
    tmp_path: Path, models: dict[str, Path], pool: ThreadPoolExecutor
) -> None:
    redis = ExitStack()
    redis_url = redis.enter_context(valkey(tmp_path))
    with redis, api(redis_url, tmp_path / "api.log") as (running, url):
        stage = Scene(url, redis_url, tmp_path, models["small"], 1)
        server = stage.server()
        stage.start(server)
        leaving = stage.bridge(server, "leaving")
        asked = pool.submit(stage.ask, max_tokens=1900)
        wait_until(lambda: busy(server) == 1)
        redis.close()
        leaving.signal(signal.SIGTERM)
        wait_until(lambda: "draining" in leaving.output)
        leaving.signal(signal.SIGTERM)
        assert leaving.process.wait(30) == 0
        assert "Traceback" not in leaving.output
        running.kill()
        with pytest.raises(httpx.HTTPError):
            asked.result(60)
        stage.close()


def test_job_of_a_killed_bridge_runs_elsewhere(scene: MakeScene, pool: ThreadPoolExecutor) -> None:
    stage = scene("small", 1)
    first, second = stage.server(), stage.server()
    stage.start(first)
    stage.start(second)
    dying = stage.bridge(first, "dying", lease_s="2")
    asked = pool.submit(stage.ask, max_tokens=900)
    wait_until(lambda: busy(first) == 1)
    stage.bridge(second, "living", lease_s="2")
    dying.kill()
    assert wait_until(lambda: busy(second) == 1) < 2 + 1.5
    assert wait_until(lambda: busy(first) == 0) < 1
    assert asked.result(60).json()["usage"]["completion_tokens"] == 900
    assert set(stage.workers()) == {"living"}


@pytest.mark.parametrize("stream", [True, False])
def test_slot_is_free_within_a_second_after_the_client_left(scene: MakeScene, stream: bool) -> None:
    stage = scene("small", 2)
    server = stage.server()
    stage.start(server)
    stage.bridge(server, "only")
    with stage.client() as client:
        leave = start_and_hold(client, stage.body(max_tokens=1900, stream=stream))
        wait_until(lambda: busy(server) == 1)
        leave()
        assert wait_until(lambda: busy(server) == 0) < 1
    assert wait_until(lambda: not stage.runs("only")()) < 1


def test_job_whose_client_left_before_its_turn_never_runs(
    scene: MakeScene, pool: ThreadPoolExecutor
) -> None:
    """Its prompt is long enough to show in the server's count of tokens."""
    stage = scene("small", 1)
    server = stage.server()
    stage.start(server)
    stage.bridge(server, "only")
    running: Future[httpx.Response] = pool.submit(stage.ask, max_tokens=600)
    wait_until(lambda: busy(server) == 1)
    long_prompt = [{"role": "user", "content": "words and " * 200}]
    with stage.client() as client:
        leave = start_and_hold(client, stage.body(messages=long_prompt, max_tokens=5))
        wait_until(lambda: stage.queued() == 1)
        leave()
        wait_until(lambda: stage.queued() == 0)
    assert running.result(60).status_code == 200
    assert stage.ask(max_tokens=5).status_code == 200
    assert 0 < prompt_tokens(server) < 300


def start_and_hold(client: httpx.Client, body: dict[str, Any]) -> Callable[[], None]:
    """Sends a request without reading its answer; the result closes its connection."""
    request = client.build_request("POST", "/v1/chat/completions", json=body)
    url = request.url
    connection = socket.create_connection((url.host, url.port))
    head = f"POST {url.path} HTTP/1.1\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    connection.sendall(head.encode() + b"\r\n" + request.read())
    return connection.close


def prompt_tokens(server: LlamaServer) -> float:
    lines = httpx.get(f"{server.url}/metrics", trust_env=False).text.splitlines()
    return float(
        next(line.split()[1] for line in lines if line.startswith("llamacpp:prompt_tokens_total"))
    )
