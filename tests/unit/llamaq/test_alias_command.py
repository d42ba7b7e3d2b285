"""`llamaq alias set | remove | list`, on a real Redis and without one."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner, Result

from llamaq.__main__ import main


@pytest.fixture
def url(real_redis_url: str) -> Iterator[str]:
    """A Redis that knows the model `qwen3` alone, which has left."""
    with redis.Redis.from_url(real_redis_url) as client:
        client.flushall()
        client.zadd("llamaq:models", {"qwen3": int(client.time()[0])})
        yield real_redis_url
        client.flushall()


def alias(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["alias", *arguments], env={"LLAMAQ_REDIS_URL": url})


@pytest.mark.real
def test_alias_is_set_listed_and_removed(url: str) -> None:
    assert "No alias is set" in alias(url, "list").stdout
    done = alias(url, "set", "gpt-4o", "qwen3")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("Requests for 'gpt-4o' go to the model 'qwen3', on every API")
    done = alias(url, "set", "*", "qwen3")
    assert done.stdout.startswith("Requests that name no model, or an unknown one, go to")
    assert json.loads(alias(url, "list", "--json").stdout) == {"*": "qwen3", "gpt-4o": "qwen3"}
    assert alias(url, "list").stdout == "*       qwen3\ngpt-4o  qwen3\n"
    assert alias(url, "remove", "*").exit_code == 0
    gone = alias(url, "remove", "*")
    assert (gone.exit_code, "Set are: gpt-4o." in gone.stderr) == (1, True)


@pytest.mark.real
def test_what_surprises_is_told(url: str) -> None:
    unknown = alias(url, "set", "gpt-4o", "lama")
    assert unknown.exit_code == 0
    assert "no worker has served a model 'lama' within a day" in unknown.stderr
    assert "(no worker has served it within a day)" in alias(url, "list").stdout
    assert "there is a model 'qwen3'" in alias(url, "set", "qwen3", "lama").stderr


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "model", "said"),
    [
        ("", "qwen3", "1 to 256 characters"),
        ("x" * 257, "qwen3", "1 to 256 characters"),
        ("a\x1b", "qwen3", "control character"),
        ("qwen3", "qwen3", "alias of itself"),
        ("a", "*", "any other name"),
        ("a", "gpt-4o", "itself an alias, of 'qwen3': name that"),
    ],
)
def test_what_can_be_no_alias_is_refused(url: str, name: str, model: str, said: str) -> None:
    alias(url, "set", "gpt-4o", "qwen3")
    refused = alias(url, "set", name, model)
    assert (refused.exit_code, said in refused.stderr) == (1, True)
    assert json.loads(alias(url, "list", "--json").stdout) == {"gpt-4o": "qwen3"}


@pytest.mark.real
def test_key_of_another_kind_is_told(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        client.set("llamaq:aliases", "x")
    refused = alias(url, "set", "a", "qwen3")
    assert (refused.exit_code, "WRONGTYPE" in refused.stderr) == (1, True)


def test_redis_that_is_away_is_told(tmp_path: Path) -> None:
    result = alias(f"unix://:hunter2@{tmp_path}/none.sock", "list")
    assert (result.exit_code, "hunter2" in result.output) == (1, False)
    assert "LLAMAQ_REDIS_URL" in result.stderr


def test_help_tells_of_the_default() -> None:
    assert "makes MODEL the default" in alias("", "set", "--help").stdout
