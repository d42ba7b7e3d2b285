"""Where the queue is, from the environment."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from dispatcher.settings import QueueSettings


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Without the variables of whoever runs the tests."""
    for name in ("REDIS_URL", "LLAMAQ_REDIS_URL", "LLAMAQ_LEASE_S", "LLAMAQ_REDIS_PASSWORD_FILE"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def url() -> str:
    return QueueSettings().redis_url.get_secret_value()  # type: ignore[call-arg]


def test_llamaqs_own_variable_comes_first(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("REDIS_URL", "redis://general")
    assert url() == "redis://general"
    environment.setenv("LLAMAQ_REDIS_URL", "redis://own")
    assert url() == "redis://own"


def test_empty_variable_is_none_at_all(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("REDIS_URL", "redis://general")
    environment.setenv("LLAMAQ_REDIS_URL", "")
    assert url() == "redis://general"


def test_address_is_required() -> None:
    with pytest.raises(ValidationError, match="LLAMAQ_REDIS_URL"):
        url()


def test_password_is_not_shown() -> None:
    assert "hunter2" not in repr(QueueSettings(redis_url="redis://:hunter2@host"))


def test_password_can_come_from_a_file(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    file = tmp_path / "password"
    file.write_text("p/w\n")
    environment.setenv("LLAMAQ_REDIS_PASSWORD_FILE", str(file))
    environment.setenv("LLAMAQ_REDIS_URL", "rediss://bob@host:1/0?ca_sha256=" + "a" * 64)
    assert url() == "rediss://bob:p%2Fw@host:1/0?ca_sha256=" + "a" * 64
    environment.setenv("LLAMAQ_REDIS_URL", "redis://host")
    assert url() == "redis://:p%2Fw@host"
    environment.setenv("LLAMAQ_REDIS_URL", "redis://:own@host")
    assert url() == "redis://:own@host"


@pytest.mark.parametrize("content", [None, "", "\n", b"\xff"])
def test_file_without_a_password_is_told(
    tmp_path: Path, environment: pytest.MonkeyPatch, content: str | bytes | None
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    environment.setenv("LLAMAQ_REDIS_PASSWORD_FILE", str(file))
    environment.setenv("LLAMAQ_REDIS_URL", "redis://host")
    with pytest.raises(ValidationError, match=r"password can't be read from .*password: "):
        url()


def test_wrong_values_are_all_listed_without_the_input(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("LLAMAQ_REDIS_URL", "redis://:hunter2@host")
    environment.setenv("LLAMAQ_LEASE_S", "0")
    environment.setenv("LLAMAQ_MAX_ATTEMPTS", "0")
    with pytest.raises(ValidationError) as raised:
        url()
    assert (raised.value.error_count(), "hunter2" in str(raised.value)) == (2, False)


def test_sentinels_have_a_password_of_their_own(
    tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    file.write_text("s/w\n")
    environment.setenv("LLAMAQ_SENTINEL_PASSWORD_FILE", str(file))
    environment.setenv("LLAMAQ_REDIS_PASSWORD_FILE", str(file))
    environment.setenv("LLAMAQ_REDIS_URL", "redis+sentinel://a,b/main/0")
    assert url() == "redis+sentinel://:s%2Fw@a,b/main/0?sentinel_password=s%2Fw"
    environment.setenv("LLAMAQ_REDIS_URL", "redis://host")
    assert url() == "redis://:s%2Fw@host"


def test_bad_address_of_sentinels_is_told_without_its_secrets(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("LLAMAQ_REDIS_URL", "redis+sentinel://:hunter2@a,b/")
    with pytest.raises(ValidationError, match="must name the primary: redis") as raised:
        url()
    assert "hunter2" not in str(raised.value)
