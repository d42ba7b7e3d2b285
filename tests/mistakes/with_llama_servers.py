"""Mistakes with llama-servers: what a bridge says that waits for one it can serve."""

from dispatcher.settings import QueueSettings
from testing.fake_llama_server import FakeLlamaServer
from testing.impostors import LOCKED, OLLAMA, ROUTER, VLLM, WEB, Pages, plain_web_server, serving
from testing.waiting import wait_until
from tests.mistakes.beside import beside
from tests.mistakes.making import Outcome, Place, mistake
from worker_bridge.service import run_bridge
from worker_bridge.settings import BridgeSettings
from worker_bridge.signals import Signals


def _served(place: Place, pages: Pages, path: str = "") -> Outcome:
    with beside(serving(pages)) as (url, _):
        return place.serve(url + path)


@mistake("a wrong port of the llama-server")
def _(place: Place) -> Outcome:
    return place.serve("http://127.0.0.1:1")


@mistake("a host of the llama-server that nobody knows")
def _(place: Place) -> Outcome:
    return place.serve("http://no-such-host.invalid:8080")


@mistake("`https://` for a llama-server without TLS")
def _(place: Place) -> Outcome:
    with plain_web_server() as port:
        return place.serve(f"https://127.0.0.1:{port}")


@mistake("an Ollama in place of a llama-server")
def _(place: Place) -> Outcome:
    return _served(place, {**OLLAMA, "/health": (404, "404 page not found")})


@mistake("a vLLM in place of a llama-server")
def _(place: Place) -> Outcome:
    return _served(place, VLLM)


@mistake("a llama-server in router mode")
def _(place: Place) -> Outcome:
    return _served(place, ROUTER)


@mistake("a path of the API in `--server`")
def _(place: Place) -> Outcome:
    return _served(place, WEB, "/v1/chat/completions")


@mistake("a llama-server that wants a key")
def _(place: Place) -> Outcome:
    return _served(place, LOCKED)


@mistake("a llama-server without `--parallel`")
def _(place: Place) -> Outcome:
    return place.serve("", "sh", "-c", "sleep 60", "sh")


@mistake("too little memory for the model, or a wrong option")
def _(place: Place) -> Outcome:
    """There is no GPU here: this says what a llama-server says that finds no room on one."""
    script = "echo 'cudaMalloc failed: out of memory' >&2; exit 1"
    return place.serve("", "sh", "-c", script, "sh", "--parallel", "4")


@mistake("two bridges for one llama-server")
def _(place: Place) -> Outcome:
    """The first one serves in a thread: it heeds no signals of this process."""
    place.monkeypatch.setattr("worker_bridge.joining._RETRY_S", 0.05)
    signals = [Signals(), Signals()]
    first = signals[0]
    place.monkeypatch.setattr("worker_bridge.service.heed_signals", lambda: signals.pop(0))
    with beside(FakeLlamaServer("twice").running()) as (server, loop):
        queue = QueueSettings(redis_url=place.redis_url, lease_s=0.5)
        served = loop.begin(run_bridge([BridgeSettings(server=server.url)], queue))
        wait_until(lambda: "twice: 0 queued, 0 of 2" in place.output("status"))
        outcome = place.run("bridge", "--server", server.url, LLAMAQ_LEASE_S="0.5", **place.bridge)
        first.end_at_once()
        served.result(10)
    return outcome
