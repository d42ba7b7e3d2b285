"""A Redis that can't hold the queue ends each command with one sentence."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from redis import Redis

from llamaq.__main__ import main
from testing.builders import SECRET
from testing.processes import free_port

pytestmark = pytest.mark.real


@pytest.mark.parametrize("command", ["api", "bridge", "status", "up"])
def test_wrong_password_is_said_once(real_redis_url: str, tmp_path: Path, command: str) -> None:
    url = real_redis_url.replace("//", "//ann:wrong-word@")
    assert_refused(command, tmp_path, url, "refuses the login of LLAMAQ_REDIS_URL")


@pytest.mark.parametrize("command", ["api", "bridge", "up"])
def test_eviction_is_refused(real_redis_url: str, tmp_path: Path, command: str) -> None:
    with Redis.from_url(real_redis_url) as admin:
        admin.config_set("maxmemory-policy", "allkeys-lru")
        try:
            assert_refused(
                command, tmp_path, real_redis_url, "CONFIG SET maxmemory-policy noeviction"
            )
        finally:
            admin.config_set("maxmemory-policy", "noeviction")


def assert_refused(command: str, folder: Path, url: str, said: str) -> None:
    options = ["--data-dir", str(folder), "--port", str(free_port())] if command == "up" else []
    environment = {"LLAMAQ_JWT_SECRET": SECRET, "LLAMAQ_REDIS_URL": url}
    result = CliRunner().invoke(main, [command, *options], env=environment)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert result.stderr.count("\n") == 1
    assert said in result.stderr
    assert "wrong-word" not in result.output
