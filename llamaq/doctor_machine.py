"""What `llamaq doctor` finds out on its own machine: folders, ports, llama-servers."""

import http.client
import os
import shutil
import socket
import ssl
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

from dispatcher.model_state import ModelState
from llamaq.addresses import here
from llamaq.doctor_facts import Disk, OwnServer, Port
from llamaq.embedded_redis import parse_listen
from llamaq.home import Home

_WAIT_S = 2.0
_LLAMA_PORT = "8080"


def look_at_disk(folder: Path) -> Disk:
    """The folder of a `llamaq up`, which may not exist."""
    folder = folder.expanduser()
    if not folder.is_dir():
        return Disk(str(folder))
    free_bytes = shutil.disk_usage(folder).free
    return Disk(str(folder), True, os.access(folder, os.W_OK | os.X_OK), free_bytes)


def look_at_ports(folder: Path, api_port: int) -> list[Port]:
    """What listens where an API would, and where the Redis of the `up` with this folder would."""
    home = Home(folder.expanduser())
    ports = [Port("the API", f"127.0.0.1:{api_port}", _answer(api_port))]
    with suppress(OSError, ValueError):
        listen = parse_listen(home.redis_listen.read_text().strip())
        host = here(listen.host)
        answer = "llamaq" if _listens(host, listen.port) else ""
        runs = home.redis_url.exists()
        ports.append(Port("Redis", f"{host}:{listen.port}", answer, is_expected=runs))
    return ports


def look_at_servers(models: Iterable[ModelState]) -> list[OwnServer]:
    """The llama-servers of this machine's workers."""
    own_name = socket.gethostname()
    found = []
    for worker in (worker for model in models for worker in model.workers):
        parts = urlsplit(worker.server)
        with suppress(ValueError):
            if worker.host == own_name and parts.hostname:
                port = parts.port or 80
                listens = _listens(parts.hostname, port)
                has_parallel = _has_parallel(port, _command_lines())
                found.append(OwnServer(worker.id, worker.server, listens, has_parallel))
    return found


def _answer(port: int) -> str:
    if not _listens("127.0.0.1", port):
        return ""
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    for connection in (
        http.client.HTTPConnection("127.0.0.1", port, timeout=_WAIT_S),
        http.client.HTTPSConnection("127.0.0.1", port, timeout=_WAIT_S, context=unverified),
    ):
        with suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/health")
            if connection.getresponse().getheader("x-request-id"):
                return "llamaq"
        connection.close()
    return "another program"


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), _WAIT_S):
            return True
    except OSError:
        return False


def _has_parallel(port: int, commands: Iterable[Sequence[str]]) -> bool | None:
    """Whether the llama-server on this port was told how many slots it has; None: no such process.

    >>> _has_parallel(9, [["/bin/llama-server", "--port", "9", "-np", "4"]])
    True
    >>> _has_parallel(8080, [["llama-server", "-m", "x"]])
    False
    >>> _has_parallel(8080, [["sleep", "8080"]])
    """
    for command in commands:
        if "llama-server" in Path(command[0]).name and _port_of(command) == str(port):
            return bool({"-np", "--parallel"}.intersection(command))
    return None


def _port_of(command: Sequence[str]) -> str:
    told = [value for name, value in pairwise(command) if name == "--port"]
    return told[-1] if told else _LLAMA_PORT


def _command_lines() -> Iterator[list[str]]:
    """Those of all processes, where the system shows them."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if words := file.read_text(errors="replace").rstrip("\0").split("\0"):
                yield words
