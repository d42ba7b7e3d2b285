"""Programs can read what each command prints."""

import json
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from llamaq.__main__ import main

RUNS = {"api", "bridge", "completion", "up"}
"""What runs until it is stopped, or is for a shell."""
SECRET = "a secret for tests, long enough for HS256"


def commands(group: click.Group, above: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} ")
        elif name not in RUNS:
            yield above + name, command


@pytest.mark.parametrize(("name", "command"), list(commands(main)), ids=lambda value: str(value))
def test_each_command_that_prints_something_has_json(name: str, command: click.Command) -> None:
    assert "--json" in [option for each in command.params for option in each.opts], name


@pytest.mark.real
@pytest.mark.parametrize(
    ("line", "shape"),
    [
        ("alias set fast qwen", {"alias": "fast", "model": "qwen"}),
        ("alias remove fast", {"alias": "fast", "removed": True}),
        ("tenant set ann --rpm 5", {"tenant": "ann", "user": "", "unserved": []}),
        ("tenant remove ann", {"tenant": "ann", "user": "", "removed": True}),
        ("token revoke --subject ann", {"subject": "ann"}),
        ("join 192.168.1.5", {"redis_url": "redis://:x@192.168.1.5:6379"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_shapes(real_redis_url: str, line: str, shape: dict[str, object]) -> None:
    url = "redis://:x@redis:6379" if line.startswith("join") else real_redis_url
    environment = {"LLAMAQ_REDIS_URL": url, "LLAMAQ_JWT_SECRET": SECRET}
    shown = CliRunner().invoke(main, [*line.split(), "--json"], env=environment)
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout).items() >= shape.items()


@pytest.mark.real
def test_new_token_is_told_with_its_claims(real_redis_url: str) -> None:
    environment = {"LLAMAQ_REDIS_URL": real_redis_url, "LLAMAQ_JWT_SECRET": SECRET}
    shown = CliRunner().invoke(main, ["token", "create", "ann", "--json"], env=environment)
    told = json.loads(shown.stdout)
    assert (told["claims"]["sub"], told["token"].count(".")) == ("ann", 2)
