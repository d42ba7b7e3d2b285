"""`llamaq invite | uninvite`, on a real Redis and without one."""

import json
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner, Result

from llamaq.__main__ import main

WITHOUT_REDIS = {"LLAMAQ_REDIS_URL": "redis://127.0.0.1:1"}


@pytest.fixture
def url(real_redis_url: str) -> Iterator[str]:
    """A Redis that knows the model `qwen3` alone."""
    with redis.Redis.from_url(real_redis_url) as client:
        client.flushall()
        client.zadd("llamaq:models", {"qwen3": int(client.time()[0])})
        yield real_redis_url
        client.flushall()
        users = [user for user in client.acl_users() if user.startswith("invited-")]
        if users:
            client.acl_deluser(*users)


def llamaq(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, env={"LLAMAQ_REDIS_URL": url})


def invite(monkeypatch: pytest.MonkeyPatch, url: str, *arguments: str) -> Result:
    """As on a machine that others reach: the address of the test's Redis is a socket."""
    monkeypatch.setattr(
        "llamaq.invite_command.url_for_others", lambda *_: "redis://:root@10.0.0.5:6379/0"
    )
    return llamaq(url, "invite", *arguments)


@pytest.mark.real
def test_line_lets_a_machine_in_until_it_is_taken_back(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = invite(monkeypatch, url, "bob", "--model", "qwen3")
    assert (done.exit_code, done.stderr) == (0, "")
    (line,) = [line for line in done.stdout.splitlines() if line.startswith(" ")]
    setting, *words = shlex.split(line)
    assert words[:6] == ["llamaq", "bridge", "--model", "qwen3", "--name", "bob"]
    name, _, told = setting.partition("=")
    assert (name, told.startswith("redis://invited-bob:")) == ("LLAMAQ_REDIS_URL", True)
    secret = told.partition("@")[0].rpartition(":")[2]
    assert f"It is: {secret}" in done.stdout
    assert "root" not in done.stdout
    path = url.removeprefix("unix://")
    with redis.Redis(unix_socket_path=path, username="invited-bob", password=secret) as bob:
        assert bob.ping()
        assert "'bob' is not invited any more" in llamaq(url, "uninvite", "bob").stdout
        with pytest.raises(redis.ConnectionError):
            bob.ping()
    assert (
        "No machine 'bob' is invited. Invited are: none." in llamaq(url, "uninvite", "bob").stderr
    )


@pytest.mark.real
def test_secret_can_go_to_a_file_alone(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    asked = "bob", "--model", "qwen3", "--secret-file", str(file)
    done = invite(monkeypatch, url, *asked)
    assert done.exit_code == 0, done.output
    assert "redis://invited-bob@10.0.0.5:6379/0 llamaq bridge --model qwen3" in done.stdout
    assert "--redis-password-file FILE" in done.stdout
    assert file.read_text().strip() not in done.stdout
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "exists already" in invite(monkeypatch, url, *asked).stderr


@pytest.mark.real
def test_list_shows_who_is_invited_and_what_has_ended(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "No machine is invited" in llamaq(url, "invite", "--list").stdout
    invite(monkeypatch, url, "bob", "--model", "qwen3")
    with redis.Redis.from_url(url) as client:
        row = json.loads(client.hget("llamaq:invited", "bob") or "")
        client.hset("llamaq:invited", "eve", json.dumps(row | {"ended": "too much"}))
    listed = llamaq(url, "invite", "--list").stdout
    assert ("bob  qwen3" in listed, "ENDED: too much" in listed) == (True, True)
    rows = json.loads(llamaq(url, "invite", "--list", "--json").stdout)
    assert [(row["name"], row["ended"], row["workers"]) for row in rows] == [
        ("bob", "", 0),
        ("eve", "too much", 0),
    ]
    assert "password" not in str(rows)


@pytest.mark.real
def test_who_can_not_be_invited_is_told_why(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusal(*arguments: str) -> str:
        done = invite(monkeypatch, url, *arguments)
        assert done.exit_code != 0
        return done.stderr

    assert "give the NAME" in refusal("bob")
    assert "LLAMAQ_WORKER_NAME" in refusal("b ob", "--model", "qwen3")
    assert "begins with a letter or a digit" in refusal("-", "--model", "qwen3")
    assert "LLAMAQ_MODEL" in refusal("bob", "--model", "a b")
    assert "it stands for other keys" in refusal("bob", "--model", "tenant:ann")
    assert invite(monkeypatch, url, "bob", "--model", "qwen3").exit_code == 0
    assert "llamaq uninvite bob" in refusal("bob", "--model", "other")
    assert "database 0" in refusal_at(url + "?db=1")


def refusal_at(url: str) -> str:
    return llamaq(url, "invite", "ann", "host", "--model", "m").stderr


def test_server_that_is_away_is_told() -> None:
    done = CliRunner().invoke(main, ["uninvite", "bob"], env=WITHOUT_REDIS)
    assert (done.exit_code, "can't be reached" in done.stderr) == (1, True)


def test_invited_machine_is_told_of_no_sentinel() -> None:
    url = "redis+sentinel://:hunter2@127.0.0.1:1/main?sentinel_password=hunter3"
    result = llamaq(url, "invite", "bob", "--model", "m")
    assert (result.exit_code, "ADDRESS of a proxy" in result.output) == (2, True)
    assert "hunter" not in result.output
