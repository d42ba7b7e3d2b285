"""The command line of a llama-server that a bridge starts."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

DEFAULT_COMMAND = ("llama-server", "--parallel", "4")
"""What starts a server for a model that is wanted, unless its operator names something else."""

EXAMPLE = (DEFAULT_COMMAND[0], "-m", "model.gguf", *DEFAULT_COMMAND[1:])
"""The same for one model, as people are told to type it."""
_LOADS = "-hf", "-hfr", "--hf-repo", "-mu", "--model-url", "-dr", "--docker-repo"


@dataclass(frozen=True, slots=True)
class Launch:
    """A complete command line, the address it will answer at, and what to warn of."""

    command: tuple[str, ...]
    url: str
    warnings: tuple[str, ...]


def plan_launch(command: Sequence[str], free_port: int) -> Launch:
    """Adds a loopback host and a free port where the command names none.

    >>> plan_launch(["llama-server", "-m", "x.gguf", "-np", "4"], 9000).command[-4:]
    ('--host', '127.0.0.1', '--port', '9000')
    """
    host = _option(command, "--host")
    port = _option(command, "--port")
    added: list[str] = []
    if host is None:
        added += ["--host", "127.0.0.1"]
    if port is None:
        added += ["--port", str(free_port)]
    warnings = []
    if not any(_option(command, name) for name in ("--parallel", "-np")):
        warnings.append(
            "no --parallel N: llama-server then shares one context between 4 slots, and one long "
            "request can end all running ones; add --parallel 4, say"
        )
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
    reach = everywhere.get(host, host) if host else "127.0.0.1"
    url = f"http://{f'[{reach}]' if ':' in reach else reach}:{port or free_port}"
    return Launch((*command, *added), url, tuple(warnings))


def rpc_peers(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """The RPC peers that a llama-server will use, as it is told of them; often none.

    >>> rpc_peers(["llama-server", "--rpc", "gpu2:50052,gpu3:50052"], {})
    'gpu2:50052,gpu3:50052'
    """
    return _option(command, "--rpc") or environment.get("LLAMA_ARG_RPC", "")


def missing_model(command: Sequence[str]) -> str:
    """The model file of this llama-server, where it is missing; else empty.

    A command of another name may mean something else by `-m`. One that downloads needs no file.

    >>> missing_model(["llama-server", "-m", "/none.gguf"])
    '/none.gguf'
    """
    program = PurePath(command[0]).name
    if not program.startswith(DEFAULT_COMMAND[0]) or any(_option(command, each) for each in _LOADS):
        return ""
    file = _option(command, "-m") or _option(command, "--model")
    return file if file and not Path(file).is_file() else ""


def find_free_port() -> int:
    """A TCP port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _option(command: Sequence[str], name: str) -> str | None:
    for word, after in zip(command, [*command[1:], ""], strict=True):
        if word == name:
            return after
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return None
