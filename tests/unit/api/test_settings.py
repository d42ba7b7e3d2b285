import pytest
from pydantic import ValidationError

from api.settings import ApiSettings
from testing.builders import SECRET


def problems(error: ValidationError) -> dict[str, str]:
    return {str(item["loc"][0]): item["msg"] for item in error.errors()}


def test_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMAQ_JWT_SECRET", SECRET)
    monkeypatch.setenv("LLAMAQ_PORT", "9000")
    assert ApiSettings().port == 9000


def test_missing_secret_tells_how_to_make_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLAMAQ_JWT_SECRET", raising=False)
    with pytest.raises(ValidationError) as caught:
        ApiSettings()
    assert "openssl rand -hex 32" in problems(caught.value)["jwt_secret"]


def test_all_bad_values_are_told_at_once_and_none_is_shown() -> None:
    with pytest.raises(ValidationError) as caught:
        ApiSettings(jwt_secret="too short", port=0, queue_wait_s=-1)
    assert set(problems(caught.value)) == {"jwt_secret", "port", "queue_wait_s"}
    assert "too short" not in str(caught.value)


def test_secret_is_measured_in_bytes() -> None:
    assert ApiSettings(jwt_secret="ü" * 16).jwt_secret.get_secret_value() == "ü" * 16


def test_secret_is_not_printed() -> None:
    assert SECRET not in repr(ApiSettings(jwt_secret=SECRET))


def test_origins_that_no_browser_sends_are_refused_with_a_sentence() -> None:
    with pytest.raises(ValidationError) as caught:
        ApiSettings(jwt_secret=SECRET, cors_origins="https://chat.example.org/")
    assert "nothing after it" in problems(caught.value)["cors_origins"]


def test_alias_that_says_nothing_is_refused_with_a_sentence() -> None:
    assert ApiSettings(jwt_secret=SECRET, aliases="gpt-4o=qwen3, *=tiny")
    with pytest.raises(ValidationError) as caught:
        ApiSettings(jwt_secret=SECRET, aliases="gpt-4o")
    assert "write NAME=MODEL" in problems(caught.value)["aliases"]


def test_every_setting_has_a_description() -> None:
    assert all(field.description for field in ApiSettings.model_fields.values())
