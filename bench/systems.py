"""Starts one system: llamaq at some commit, HAProxy, LiteLLM, or the first server alone."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from bench import environments
from bench.environments import Installed
from bench.haproxy import haproxy, haproxy_version
from bench.standin_server import MODEL
from testing.builders import SECRET, make_token
from testing.processes import LlamaServer, Program, answers, free_port, program, valkey
from testing.waiting import wait_until

START_S = 120.0
DIRECT = "direct"
_KEY = "sk-bench"
_SEVERAL = """
try:
    from llamaq.bridge_command import bridge
except ImportError:
    raise SystemExit(1)
raise SystemExit(not any("--server" in each.opts and each.multiple for each in bridge.params))
"""
AS_UP_DOES = ("--appendonly", "yes", "--appendfsync", "everysec")


@dataclass(frozen=True, slots=True)
class System:
    """What clients talk to, and the processes whose time counts as its own."""

    name: str
    port: int
    processes: Sequence[psutil.Process] = ()
    token: str = ""


Servers = Sequence[LlamaServer]
Opener = Callable[[Servers, Path], AbstractContextManager[System]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A system that can be started, and what exactly it is."""

    name: str
    version: str
    open: Opener


def candidate(name: str) -> Candidate:
    """By its name: `llamaq`, `llamaq@COMMIT`, `haproxy`, `litellm` or `direct`.

    Installs what is missing, or ends with what to do.
    """
    if name == "llamaq" or name.startswith("llamaq@"):
        installed = environments.revision(name[7:]) if "@" in name else environments.this_tree()
        return Candidate(name, installed.commit, partial(_llamaq, name, installed))
    if name == "haproxy":
        return Candidate(name, haproxy_version(), _haproxy)
    if name == "litellm":
        return Candidate(name, environments.LITELLM[0], partial(_litellm, environments.litellm()))
    if name == DIRECT:
        return Candidate(name, "the first server alone", _direct)
    raise SystemExit(
        f"there is no system {name!r}: llamaq, llamaq@COMMIT, haproxy, litellm, direct"
    )


@contextmanager
def _llamaq(name: str, installed: Installed, servers: Servers, folder: Path) -> Iterator[System]:
    """One API, and bridges as that commit starts them: all workers in one, if it can."""
    with ExitStack() as stack:
        redis_url = stack.enter_context(valkey(folder, *AS_UP_DOES))
        started = [child for child in psutil.Process().children() if _is_in(child, folder)]

        def start(log: str, *arguments: str, **settings: str) -> Program:
            environment = {
                "PYTHONPATH": str(installed.folder),
                "PYTHONSAFEPATH": "1",
                "LLAMAQ_REDIS_URL": redis_url,
                **settings,
            }
            command = [installed.python, "-m", "llamaq", *arguments]
            running = stack.enter_context(program(command, folder / log, environment))
            started.append(psutil.Process(running.process.pid))
            return running

        for number, some in enumerate(_by_bridge(installed, servers)):
            options = [word for server in some for word in ("--server", server.url)]
            bridge = start(f"bridge{number}.log", "bridge", *options)
            wait_until(partial(_has_joined, bridge, len(some)), START_S)
        port = free_port()
        start("api.log", "api", "--port", str(port), LLAMAQ_JWT_SECRET=SECRET)
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/ready"), START_S)
        yield System(name, port, started, make_token())


def _has_joined(bridge: Program, workers: int) -> bool:
    return bridge.output.count("joined worker=") >= workers


def _by_bridge(installed: Installed, servers: Servers) -> list[Servers]:
    """The servers of each bridge process."""
    with program([installed.python, "-c", _SEVERAL], Path("/dev/null"), _path(installed)) as asked:
        several = asked.process.wait(START_S) == 0
    return [servers] if several else [[server] for server in servers]


def _path(installed: Installed) -> Mapping[str, str]:
    return {"PYTHONPATH": str(installed.folder), "PYTHONSAFEPATH": "1"}


def _is_in(process: psutil.Process, folder: Path) -> bool:
    return any(str(folder) in word for word in process.cmdline())


@contextmanager
def _haproxy(servers: Servers, folder: Path) -> Iterator[System]:
    with haproxy(servers, folder) as port:
        children = [child for child in psutil.Process().children() if _is_in(child, folder)]
        yield System("haproxy", port, children, make_token())


@contextmanager
def _direct(servers: Servers, folder: Path) -> Iterator[System]:
    yield System(DIRECT, servers[0].port)


@contextmanager
def _litellm(command: str, servers: Servers, folder: Path) -> Iterator[System]:
    """LiteLLM as its documentation says for production: one process, its logs off."""
    config = {
        "model_list": [
            {
                "model_name": MODEL,
                "litellm_params": {
                    "model": f"openai/{MODEL}",
                    "api_base": f"{server.url}/v1",
                    "api_key": "none",
                },
            }
            for server in servers
        ],
        "router_settings": {"routing_strategy": "least-busy"},
        "general_settings": {"master_key": _KEY},
        "litellm_settings": {"set_verbose": False, "json_logs": False, "telemetry": False},
    }
    path, port = folder / "litellm.json", free_port()
    path.write_text(json.dumps(config))  # YAML reads it
    words = [command, "--config", str(path), "--host", "127.0.0.1", "--port", str(port)]
    environment = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    with program([*words, "--num_workers", "1"], folder / "litellm.log", environment) as running:
        alive = f"http://127.0.0.1:{port}/health/liveliness"
        wait_until(lambda: answers(alive), START_S)
        yield System("litellm", port, [psutil.Process(running.process.pid)], _KEY)
