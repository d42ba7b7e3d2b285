"""`llamaq bridge` gets the password of Redis from a prompt or a file."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dispatcher.settings import QueueSettings
from llamaq.__main__ import main

PLAIN = "redis://invited-bob@host/0"
WHOLE = "redis://invited-bob:a%2Fb@host/0"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses with which bridges would run."""
    seen: list[str] = []

    async def record(_: Any, queue: QueueSettings, *__: Any) -> None:
        seen.append(queue.redis_url.get_secret_value())

    monkeypatch.setattr("llamaq.bridge_command.run_bridge", record)
    return seen


def test_password_is_asked_for_and_not_shown(told: list[str]) -> None:
    done = CliRunner().invoke(
        main, ["bridge", "--ask-password"], input="a/b\n", env={"LLAMAQ_REDIS_URL": PLAIN}
    )
    assert (done.exit_code, told) == (0, [WHOLE]), done.output
    assert "a/b" not in done.output


def test_password_is_read_from_a_file(told: list[str], tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("a/b\n")
    asked = ["bridge", "--redis-password-file", str(file)]
    environment = {"LLAMAQ_REDIS_URL": PLAIN, "LLAMAQ_REDIS_PASSWORD_FILE": ""}
    done = CliRunner().invoke(main, asked, env=environment)
    assert (done.exit_code, told) == (0, [WHOLE]), done.output
