"""`llamaq tenant set | show | list | remove`, on a real Redis."""

import json
from collections.abc import Iterator

import click
import pytest
import redis
from click.testing import CliRunner, Result

from llamaq.__main__ import main
from llamaq.amount import Amount


@pytest.fixture
def url(real_redis_url: str) -> Iterator[str]:
    """An empty Redis."""
    with redis.Redis.from_url(real_redis_url) as client:
        client.flushall()
        yield real_redis_url
        client.flushall()


def tenant(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["tenant", *arguments], env={"LLAMAQ_REDIS_URL": url})


@pytest.mark.real
def test_limits_are_set_shown_listed_and_removed(url: str) -> None:
    assert "No limit is set" in tenant(url, "list").stdout
    tokens = ("--tokens-per-day", "200k", "--tokens-per-month", "2M")
    done = tenant(url, "set", "ann", "--rpm", "60", *tokens, "--concurrent", "4")
    assert (done.exit_code, done.stderr) == (0, "")
    said = "rpm=60 tokens-per-day=200k tokens-per-month=2M concurrent=4"
    assert done.stdout == f"'ann': {said}, on every API within a second.\n"
    done = tenant(url, "set", "*", "--models", "a, b")
    assert done.stderr.count("no worker has served") == 2
    assert tenant(url, "show", "ann").stdout == f"{said} models=a,b\n"
    done = tenant(url, "set", "web", "--user", "*", "--rpm", "5")
    assert done.stdout.startswith("Each end user of 'web': rpm=5,")
    listed = {
        "*": {"models": ["a", "b"]},
        "ann": {
            **{"requests_per_minute": 60, "tokens_per_day": 200_000},
            **{"tokens_per_month": 2_000_000, "concurrent": 4},
        },
        "web/*": {"requests_per_minute": 5},
    }
    assert json.loads(tenant(url, "list", "--json").stdout) == listed
    assert f"ann    {said}\n" in tenant(url, "list").stdout
    assert json.loads(tenant(url, "show", "web", "--user", "u", "--json").stdout) == {
        **{"requests_per_minute": 5, "tokens_per_day": 0, "tokens_per_month": 0, "concurrent": 0},
        "models": ["*"],
    }
    assert tenant(url, "remove", "ann").exit_code == 0
    gone = tenant(url, "remove", "ann")
    assert (gone.exit_code, "Set are: *, web/*." in gone.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ann"], "Name a limit"),
        (["", "--rpm", "1"], "can't be a name"),
        (["a\n", "--rpm", "1"], "can't be a name"),
        (["ann", "--rpm", "many"], "not an amount"),
    ],
)
def test_what_can_t_be_is_a_usage_error(arguments: list[str], said: str) -> None:
    done = tenant("redis://localhost:1", "set", *arguments)
    assert (done.exit_code, said in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("60", 60), ("200k", 200_000), ("1.5M", 1_500_000), ("2g", 2 * 10**9)],
)
def test_amounts_are_read(text: str, number: int) -> None:
    assert Amount().convert(text, None, None) == number


@pytest.mark.parametrize("text", ["", "-1", "1.5", "k", "1e3", "1.0001k", "9" * 16, "10000000G"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Amount().convert(text, None, None)
