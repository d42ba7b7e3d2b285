"""docs/command-line.md says what is true: exit codes, and the shape of the status."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from dispatcher.gone import GoneWorker
from dispatcher.overview import Waiting
from llamaq.__main__ import main
from llamaq.status import as_json
from testing.builders import SECRET, make_token
from testing.overviews import overview
from tests.unit.llamaq.test_top_command import JOB, MODEL

PAGE = (Path(__file__).parents[3] / "docs" / "command-line.md").read_text()


@pytest.mark.real
@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("--version", 0),
        ("status", 0),
        ("top", 0),
        ("alias remove none", 1),
        ("drain none", 1),
        ("resume none", 1),
        ("cancel none", 1),
        ("tenant remove none", 1),
        ("uninvite none", 1),
        ("token inspect x.y.z", 1),
        (f"token inspect {make_token(secret='another secret of at least 32 bytes')}", 1),
        ("status --data-dir /nowhere", 1),
        ("nonsense", 2),
        ("status --nonsense", 2),
        ("drain", 2),
        ("top --every 0", 2),
        ("token create ann --scopes nonsense", 2),
    ],
    ids=lambda value: str(value)[:24],
)
def test_exit_codes(real_redis_url: str, line: str, code: int) -> None:
    environment = {"LLAMAQ_REDIS_URL": real_redis_url, "LLAMAQ_JWT_SECRET": SECRET}
    shown = CliRunner().invoke(main, line.split(), env=environment)
    assert shown.exit_code == code, shown.output
    assert code == 0 or shown.exception is None or isinstance(shown.exception, SystemExit)
    assert "Traceback" not in shown.output


@pytest.mark.parametrize("setting", ["", "http://redis"])
def test_wrong_settings_end_with_2(setting: str, tmp_path: Path) -> None:
    environment = {"LLAMAQ_REDIS_URL": setting, "LLAMAQ_DATA_DIR": str(tmp_path)}
    shown = CliRunner().invoke(main, ["status"], env=environment)
    assert shown.exit_code == (2 if setting else 1)  # without one it looks for a `llamaq up`


def test_page_has_all_exit_codes() -> None:
    assert re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE) == ["0", "1", "2"]


def test_page_has_each_field_of_the_status() -> None:
    gone, waiting = GoneWorker("a", "died", 1, 1), {"qwen": [Waiting("flex", "ann", 1)]}
    (model,) = json.loads(as_json(overview(MODEL, gone=[gone], jobs=[JOB], waiting=waiting)))
    rows = {"a model": model} | {
        f"`{name}`": model[name][0] for name in ("workers", "waiting", "jobs", "gone")
    }
    for of, row in rows.items():
        (told,) = re.findall(rf"^\| {of} \| (.*) \|$", PAGE, re.MULTILINE)
        fields = re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)|;.*", "", told))
        assert fields == list(row), of
