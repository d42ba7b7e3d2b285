"""`llamaq doctor` on a real Redis, and without one."""

import http.server
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from redis import Redis

from llamaq.__main__ import main
from llamaq.doctor_machine import look_at_disk, look_at_ports
from testing.builders import SECRET, make_token
from testing.processes import free_port, valkey, wait_until


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the variables of whoever runs the tests, and with nothing where an API would be."""
    for name in list(os.environ):
        if name.startswith("LLAMAQ_") or name == "REDIS_URL":
            monkeypatch.delenv(name)
    monkeypatch.setenv("LLAMAQ_PORT", str(free_port()))
    monkeypatch.setenv("LLAMAQ_DATA_DIR", str(tmp_path / "nothing"))


def doctor(*arguments: str, token: str = "", **environment: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *arguments], input=token, env=environment)


@pytest.mark.real
def test_findings_of_a_redis_are_lines_and_json(real_redis_url: str) -> None:
    result = doctor(LLAMAQ_REDIS_URL=real_redis_url)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "ok       redis     Valkey" in result.stdout
    assert "→ Run: CONFIG SET appendonly yes" in result.stdout
    rows = json.loads(doctor("--json", LLAMAQ_REDIS_URL=real_redis_url).stdout)
    assert {"area": "clock", "state": "ok"}.items() <= rows[3].items()


@pytest.mark.real
@pytest.mark.parametrize(
    ("token", "code", "said"),
    [
        (make_token(exp=4_000_000_000), 0, "the token is believed"),
        ("nonsense", 1, "the token is not believed: The token is not a JSON Web Token"),
    ],
    ids=["good", "bad"],
)
def test_token_is_judged(real_redis_url: str, token: str, code: int, said: str) -> None:
    settings = {"LLAMAQ_REDIS_URL": real_redis_url, "LLAMAQ_JWT_SECRET": SECRET}
    result = doctor("--token", token=token, **settings)
    assert (result.exit_code, said in result.stdout) == (code, True)
    assert token not in result.output


def test_redis_that_is_away_is_wrong_and_its_password_is_not_shown() -> None:
    result = doctor(LLAMAQ_REDIS_URL="redis://:hunter2@127.0.0.1:1")
    assert (result.exit_code, result.stderr) == (1, "")
    assert "redis://:***@127.0.0.1:1: Redis can't be reached" in result.stdout
    assert "hunter2" not in result.output


@pytest.mark.real
def test_redis_that_can_not_write_to_its_disk_is_neither_away_nor_misnamed(tmp_path: Path) -> None:
    """It then refuses PING, too."""
    with valkey(tmp_path) as url, Redis.from_url(url) as redis:
        (tmp_path / "dump.rdb" / "in-the-way").mkdir(parents=True)
        redis.config_set("save", "3600 1000000")
        redis.bgsave()
        wait_until(lambda: redis.info("persistence")["rdb_last_bgsave_status"] == "err")
        result = doctor(LLAMAQ_REDIS_URL=url)
        redis.config_set("save", "")  # else it does not end
    assert "MISCONF" in result.stdout
    assert "until it takes writes again" in result.stdout
    assert "correct LLAMAQ_REDIS_URL" not in result.stdout


def test_missing_address_and_short_secret_are_wrong() -> None:
    result = doctor(LLAMAQ_JWT_SECRET="hunter2")
    assert result.exit_code == 1
    assert "no `llamaq up` with a Redis of its own" in result.stdout
    assert "LLAMAQ_JWT_SECRET must have 32 bytes or more" in result.stdout
    assert "hunter2" not in result.output


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        if self.path == "/health" and self.server.server_address[1] in _APIS:
            self.send_header("x-request-id", "1")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


_APIS: set[int] = set()


@pytest.fixture
def web_port() -> Iterator[int]:
    with http.server.HTTPServer(("127.0.0.1", 0), _Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_who_listens_where_an_api_would_is_told(tmp_path: Path, web_port: int) -> None:
    assert [port.answer for port in look_at_ports(tmp_path, web_port)] == ["another program"]
    _APIS.add(web_port)
    assert [port.answer for port in look_at_ports(tmp_path, web_port)] == ["llamaq"]
    assert [port.answer for port in look_at_ports(tmp_path, free_port())] == [""]


def test_redis_of_an_up_that_runs_should_listen(tmp_path: Path, web_port: int) -> None:
    (tmp_path / "redis_listen").write_text(f"0.0.0.0:{web_port}\n")
    [_, port] = look_at_ports(tmp_path, free_port())
    assert (port.answer, port.is_expected) == ("llamaq", False)
    (tmp_path / "redis_url").touch()
    (tmp_path / "redis_listen").write_text(f"127.0.0.1:{free_port()}\n")
    [_, port] = look_at_ports(tmp_path, free_port())
    assert (port.answer, port.is_expected) == ("", True)


def test_folder_is_looked_at_and_left_as_it_is(tmp_path: Path) -> None:
    disk = look_at_disk(tmp_path)
    assert (disk.exists, disk.is_writable, disk.free_bytes > 0) == (True, True, True)
    assert not look_at_disk(tmp_path / "none").exists
    assert list(tmp_path.iterdir()) == []
