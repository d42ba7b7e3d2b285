import click
import pytest
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from api.settings import ApiSettings
from dispatcher.settings import QueueSettings
from llamaq.environment import is_set, set_default
from llamaq.settings import describe, load, variable
from testing.builders import SECRET
from worker_bridge.settings import BridgeSettings


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what the person who runs the tests may have set."""
    for kind in (QueueSettings, ApiSettings, BridgeSettings):
        for name, field in kind.model_fields.items():
            monkeypatch.delenv(variable(name, field), raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)


def refusal(given: dict[type[BaseSettings], dict[str, object]]) -> str:
    with pytest.raises(click.UsageError) as caught:
        load(given)
    return caught.value.message


def test_everything_invalid_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMAQ_LEASE_S", "soon")
    monkeypatch.setenv("LLAMAQ_JWT_SECRET", "too-short-a-secret")
    monkeypatch.setenv("LLAMAQ_PORT", "0")
    monkeypatch.setenv("LLAMAQ_STALL_TOKEN_S", "-1")
    told = refusal({QueueSettings: {}, ApiSettings: {}, BridgeSettings: {"server": "nowhere"}})
    names = [line.split(":")[0].strip() for line in told.splitlines()[1:]]
    assert sorted(names) == [
        "LLAMAQ_JWT_SECRET",
        "LLAMAQ_LEASE_S",
        "LLAMAQ_PORT",
        "LLAMAQ_REDIS_URL",
        "LLAMAQ_SERVER",
        "LLAMAQ_STALL_TOKEN_S",
    ]
    assert "too-short-a-secret" not in told


def test_missing_setting_says_what_it_is_for() -> None:
    assert "redis://" in refusal({QueueSettings: {}})
    assert "openssl rand -hex 32" in refusal({ApiSettings: {}})


def test_command_line_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMAQ_SERVER", "http://environment:1")
    monkeypatch.setenv("LLAMAQ_MODEL", "environment")
    values = {"server": "http://given:1", "model": None}
    settings = load({BridgeSettings: values})[BridgeSettings]
    assert (settings.server, settings.model) == ("http://given:1", "environment")


@pytest.mark.parametrize(
    ("kind", "values", "name"),
    [
        (ApiSettings, {"jwt_secret": SECRET, "port": 0}, "LLAMAQ_PORT"),
        (BridgeSettings, {"server": ""}, "LLAMAQ_SERVER"),
    ],
)
def test_empty_value_on_the_command_line_is_not_passed_over(
    kind: type[BaseSettings], values: dict[str, object], name: str
) -> None:
    assert name in refusal({kind: values})


def test_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMAQ_SERVER_KEY", "")
    monkeypatch.setenv("LLAMAQ_DRAIN_S", "")
    assert load({BridgeSettings: {}})[BridgeSettings].server_key is None


def test_llamaqs_own_variable_comes_before_the_common_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://common")
    assert load({QueueSettings: {}})[QueueSettings].redis_url == SecretStr("redis://common")
    monkeypatch.setenv("LLAMAQ_REDIS_URL", "redis://own")
    assert load({QueueSettings: {}})[QueueSettings].redis_url == SecretStr("redis://own")


def test_address_of_redis_is_checked_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMAQ_REDIS_URL", "http://:hunter2@redis")
    told = refusal({QueueSettings: {}})
    assert "LLAMAQ_REDIS_URL" in told
    assert "hunter2" not in told


def test_default_never_replaces_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMAQ_MODEL", "")
    assert not is_set("LLAMAQ_MODEL")
    set_default("LLAMAQ_MODEL", "first")
    set_default("LLAMAQ_MODEL", "second")
    assert load({BridgeSettings: {}})[BridgeSettings].model == "first"


def test_help_has_every_setting_with_its_default() -> None:
    text = describe(QueueSettings, ApiSettings, BridgeSettings)
    for kind in (QueueSettings, ApiSettings, BridgeSettings):
        for name, field in kind.model_fields.items():
            assert f"\n  {variable(name, field)}\n" in text
    assert "(default: 8484)" in text
    assert "****" not in text


def test_help_shows_no_secret() -> None:
    class Kind(BaseSettings):
        secret: SecretStr = Field(SecretStr("hunter2"), description="a secret")

    assert "hunter2" not in describe(Kind)
