"""`llamaq token create | inspect | revoke | list`, on a real Redis and without one."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner, Result

from api.new_token import create_token
from api.tenant import Tenant
from dispatcher import token_records
from llamaq import token_command, token_work
from llamaq.__main__ import main
from testing.builders import SECRET, make_token
from testing.signers import key_set, private_key, public_jwk, public_pem, token_of

pytestmark = pytest.mark.real


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_work, "_SECOND_S", 0.0)


@pytest.fixture
def url(real_redis_url: str) -> Iterator[str]:
    with redis.Redis.from_url(real_redis_url) as client:
        client.flushall()
        yield real_redis_url
        client.flushall()


def token(url: str, *arguments: str, stdin: str = "", **settings: str) -> Result:
    told = {f"LLAMAQ_{name.upper()}": value for name, value in settings.items()}
    environment = {"LLAMAQ_REDIS_URL": url, "LLAMAQ_JWT_SECRET": SECRET, **told}
    return CliRunner().invoke(main, ["token", *arguments], env=environment, input=stdin)


def listed(url: str) -> list[dict[str, Any]]:
    return list(json.loads(token(url, "list", "--json").stdout))


def test_created_token_is_listed_and_revoked_by_its_id(url: str) -> None:
    assert "No token is recorded" in token(url, "list").stdout
    made = token(url, "create", "ann", "--ttl", "2h", "--models", "a, b", "--scopes", "chat,models")
    other = token(url, "create", "bob", "--ttl", "1h", "--weight", "2")
    assert (made.exit_code, made.stderr, other.stderr) == (0, "", "")
    bob, ann = listed(url)
    assert (ann["sub"], ann["models"], ann["scopes"]) == ("ann", ["a", "b"], ["chat", "models"])
    assert (bob["sub"], bob["weight"], bob["revoked"]) == ("bob", 2, False)
    with redis.Redis.from_url(url) as client:
        kept = str(client.hgetall("llamaq:tokens"))
    assert made.stdout.strip().rpartition(".")[2] not in kept
    done = token(url, "revoke", ann["jti"])
    assert done.stdout == f"The token {ann['jti']} of ann is revoked.\n"
    assert [each["revoked"] for each in listed(url)] == [False, True]
    head, _, row = token(url, "list").stdout.splitlines()
    assert head.split() == ["ID", "SUBJECT", "ENDS"]
    assert row.startswith(f"{ann['jti']}  ann      ")
    assert row.endswith("UTC  revoked scopes=chat,models models=a,b")
    inspected = token(url, "inspect", stdin=made.stdout)
    assert inspected.exit_code == 1
    assert "It is not believed. The token was revoked: ask for a new one." in inspected.stdout
    assert token(url, "inspect", stdin=other.stdout).exit_code == 0


def test_all_tokens_of_a_subject_are_revoked(url: str) -> None:
    old = create_token(SECRET, Tenant("ann"), 60)
    for name in ("ann", "bob"):
        token(url, "create", name)
    done = token(url, "revoke", "--subject", "ann")
    assert done.stdout == "All tokens of ann that were made until now are revoked.\n"
    assert {each["sub"]: each["revoked"] for each in listed(url)} == {"ann": True, "bob": False}
    assert token(url, "inspect", old).exit_code == 1


def test_token_itself_can_be_revoked_and_does_not_say_until_when(url: str) -> None:
    forged = make_token(jti="abc", exp=1, secret="x" * 32)
    done = token(url, "revoke", "-", "other", stdin=f"{forged}\n")
    assert done.stdout.splitlines() == [
        "The token abc is revoked. No token of this ID is recorded.",
        "The token other is revoked. No token of this ID is recorded.",
    ]
    with redis.Redis.from_url(url) as client:
        assert client.hget("llamaq:revoked", "jti abc") == b"253402300799"
    token(url, "revoke", "bounded", jwt_longest_life_s="3600")
    with redis.Redis.from_url(url) as client:
        assert abs(int(client.hget("llamaq:revoked", "jti bounded")) - time.time() - 3600) < 60


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        ([], "", "name the ID of a token, or a --subject"),
        (["-"], "", "has no `jti` that can be revoked"),
        (["-"], make_token(), "has no `jti` that can be revoked"),
        (["-"], "a.b.c", "not a JSON Web Token"),
        (["\x1b"], "", "has no `jti`"),
        (["--subject", " "], "", "`sub` must"),
    ],
)
def test_what_cannot_be_revoked_is_told(
    url: str, arguments: list[str], stdin: str, said: str
) -> None:
    refused = token(url, "revoke", *arguments, stdin=stdin)
    assert refused.exit_code != 0
    assert said in refused.stderr


def test_inspect_tells_as_whom_a_token_is_believed(url: str, tmp_path: Path) -> None:
    path, key = tmp_path / "key.pem", private_key("ES256")
    path.write_bytes(public_pem(key))
    settings = {"jwt_keys": str(path), "groups": '{"staff": {"weight": 4, "scopes": ["chat"]}}'}
    text = token_of("ES256", key, groups=["staff", "\x1b[2J"], models=["tiny"])
    told = json.loads(token(url, "inspect", "--json", text, **settings).stdout)
    assert told["claims"]["groups"] == ["staff", "\x1b[2J"]
    assert told["header"] == {"alg": "ES256", "typ": "JWT"}
    assert told["tenant"] == {
        **{"subject": "me", "weight": 4, "tier": "default", "scopes": ["chat"]},
        "models": ["tiny"],
    }
    shown = token(url, "inspect", text, **settings).stdout
    assert "\x1b" not in shown
    assert shown.endswith("  models: tiny\nIt is believed.\n")
    assert "signed with HS256" in token(url, "inspect", text).stdout


def test_inspect_asks_the_identity_provider(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def fetch(address: str) -> bytes:
        await asyncio.sleep(0)
        return key_set(public_jwk("ES256", private_key("ES256"), kid="a"))

    monkeypatch.setattr("api.jwks.fetch_bounded", fetch)
    settings = {"jwks_url": "https://login.example.org/", "data_dir": str(tmp_path)}
    text = token_of("ES256", private_key("ES256"), {"kid": "a"})
    assert token(url, "inspect", text, jwt_secret="", **settings).exit_code == 0


def test_only_a_secret_signs(url: str, tmp_path: Path) -> None:
    settings = {"jwks_url": "https://login.example.org/", "data_dir": str(tmp_path)}
    refused = token(url, "create", "ann", jwt_secret="", **settings)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "LLAMAQ_JWT_SECRET" in refused.stderr


def test_inspect_needs_a_token_that_can_be_read(url: str) -> None:
    refused = token(url, "inspect", "abc")
    assert (refused.exit_code, "not a JSON Web Token" in refused.stderr) == (1, True)


def test_without_redis_a_token_is_made_and_inspected(tmp_path: Path) -> None:
    away = f"unix://:hunter2@{tmp_path}/none.sock"
    made = token(away, "create", "ann")
    assert made.exit_code == 0
    assert "is not recorded, so `llamaq token list` will not show it: Redis can't" in made.stderr
    told = token(away, "inspect", made.stdout.strip())
    assert (told.exit_code, "Whether it was revoked is not known" in told.stderr) == (0, True)
    for arguments in (["list"], ["revoke", "a"]):
        refused = token(away, *arguments)
        assert (refused.exit_code, "LLAMAQ_REDIS_URL" in refused.stderr) == (1, True)
    assert "hunter2" not in made.output + told.output + refused.output


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        (["--scopes", "caht"], {}, "there is no scope 'caht': there are chat,"),
        (["--models", "a\x1b"], {}, "`models` must"),
        (["--ttl", "2d"], {"jwt_longest_life_s": "86400"}, "allows 86400 s"),
        (["--ttl", "2d"], {"jwt_old_secrets": "short"}, "LLAMAQ_JWT_OLD_SECRETS: must have 32"),
    ],
)
def test_token_that_nobody_would_believe_is_not_made(
    url: str, arguments: list[str], settings: dict[str, str], said: str
) -> None:
    refused = token(url, "create", "ann", *arguments, **settings)
    assert (refused.exit_code, refused.stdout, said in refused.stderr) == (2, "", True)


def test_records_end_with_their_tokens_and_have_a_bound(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_records, "MOST_TOKENS", 1)
    with redis.Redis.from_url(url) as client:
        client.hset("llamaq:tokens", "old", json.dumps({"jti": "old", "sub": "a", "exp": 1}))
        client.hset("llamaq:tokens", "odd", "[" * 9999)
    assert "1 tokens are recorded already" not in token(url, "create", "ann").stderr
    assert [each["sub"] for each in listed(url)] == ["ann"]
    more = token(url, "create", "bob")
    assert (more.exit_code, "1 tokens are recorded already" in more.stderr) == (0, True)
    with redis.Redis.from_url(url) as client:
        assert len(client.hkeys("llamaq:tokens")) == 1


def test_token_is_asked_for_without_an_echo(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_command.sys.stdin, "isatty", lambda: True, raising=False)
    asked: list[Any] = []
    monkeypatch.setattr("click.prompt", lambda *args, **named: asked.append(named) or make_token())
    assert token_command._from_stdin() == make_token()
    assert asked == [{"hide_input": True, "err": True}]
