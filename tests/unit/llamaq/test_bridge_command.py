"""What `llamaq bridge` refuses before it does anything."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from llamaq.__main__ import main


def bridge(*arguments: str, **environment: str) -> Result:
    told = {"LLAMAQ_REDIS_URL": "redis://127.0.0.1:1", **environment}
    return CliRunner().invoke(main, ["bridge", *arguments], env=told)


@pytest.fixture
def models(tmp_path: Path) -> str:
    (tmp_path / "a.gguf").touch()
    return str(tmp_path)


def test_models_and_servers_do_not_go_together(models: str) -> None:
    refused = bridge("--models", models, "--server", "http://127.0.0.1:1")
    assert (refused.exit_code, "not both" in refused.stderr) == (2, True)


def test_one_name_is_not_for_several_models(models: str) -> None:
    refused = bridge("--models", models, LLAMAQ_MODEL="x")
    assert (refused.exit_code, "each model has its file's name" in refused.stderr) == (2, True)


def test_folder_without_models_is_told(tmp_path: Path) -> None:
    refused = bridge(LLAMAQ_MODELS=str(tmp_path))
    assert (refused.exit_code, "put GGUF files there" in refused.stderr) == (1, True)


def test_program_that_is_not_there_is_told(models: str) -> None:
    refused = bridge("--models", models, "--", "no-such-llama-server")
    assert refused.exit_code == 1
    assert "no-such-llama-server: there is no such program" in refused.stderr


def test_hours_of_work_have_another_name_than_hours_of_pause() -> None:
    assert "are no hours: write 22-07" in bridge("--work-hours", "22").stderr
    assert bridge("--hours", "22-07").exit_code == 2
