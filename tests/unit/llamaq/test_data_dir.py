"""`status`, `token create` and `join` find the folder of a `llamaq up` by themselves."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from llamaq.__main__ import main
from llamaq.home import Home
from testing.builders import make_authenticator

KEPT, SET = "k" * 32, "s" * 32


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user with nothing set and nothing kept."""
    names = ("LLAMAQ_REDIS_URL", "REDIS_URL", "LLAMAQ_JWT_SECRET", "LLAMAQ_DATA_DIR")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def default(tmp_path: Path) -> Home:
    return running(tmp_path / ".local/share/llamaq")


def running(folder: Path, redis: str = "kept") -> Home:
    """What an `up` that listens on TCP leaves in its folder while it runs."""
    home = Home(folder)
    home.create()
    home.jwt_secret.write_text(f"{KEPT}\n")
    home.redis_url.write_text(f"unix:///nowhere/{redis}.sock\n")
    home.redis_listen.write_text("192.168.1.5:6400\n")
    home.redis_password.write_text("pass\n")
    return home


def llamaq(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, arguments, env=environment)


def secret_of_token(*arguments: str, **environment: str) -> str:
    result = llamaq("token", "create", "ann", *arguments, **environment)
    assert result.exit_code == 0, result.stderr
    for secret in (KEPT, SET):
        try:
            make_authenticator(jwt_secret=secret).authenticate(f"Bearer {result.stdout}")
        except Exception:  # noqa: S112  # the other one then
            continue
        return secret
    raise AssertionError(result.stdout)


def redis_of_status(*arguments: str, **environment: str) -> str:
    result = llamaq("status", *arguments, **environment)
    assert result.exit_code == 1
    return result.stderr


def test_default_folder_is_found(default: Home) -> None:
    assert secret_of_token() == KEPT
    assert "/nowhere/kept.sock" in redis_of_status()
    assert "192.168.1.5:6400" in llamaq("join").stdout


def test_folder_of_the_environment_goes_before_the_default(default: Home, tmp_path: Path) -> None:
    running(tmp_path / "other", redis="other")
    default.jwt_secret.write_text("d" * 32)
    place = {"LLAMAQ_DATA_DIR": str(tmp_path / "other")}
    assert secret_of_token(**place) == KEPT
    assert "/nowhere/other.sock" in redis_of_status(**place)


def test_environment_goes_before_a_folder_that_was_not_typed(default: Home) -> None:
    folder = {"LLAMAQ_DATA_DIR": str(default.folder)}
    assert secret_of_token(LLAMAQ_JWT_SECRET=SET, **folder) == SET
    for name in ("LLAMAQ_REDIS_URL", "REDIS_URL"):
        place = {name: "unix:///nowhere/set.sock"}
        assert "/nowhere/set.sock" in redis_of_status(**folder, **place)
    assert "@box:6379" in llamaq("join", "box", LLAMAQ_REDIS_URL="redis://:pw@redis").stdout


def test_typed_folder_goes_before_all(default: Home) -> None:
    typed = ("--data-dir", str(default.folder))
    elsewhere = {"LLAMAQ_REDIS_URL": "redis://:pw@redis:1", "LLAMAQ_DATA_DIR": "/nowhere"}
    assert secret_of_token(*typed, LLAMAQ_JWT_SECRET=SET) == KEPT
    assert "/nowhere/kept.sock" in redis_of_status(*typed, **elsewhere)
    assert "192.168.1.5:6400" in llamaq("join", *typed, **elsewhere).stdout


@pytest.mark.parametrize(
    ("command", "variable"),
    [
        (("status",), "LLAMAQ_REDIS_URL"),
        (("join",), "LLAMAQ_REDIS_URL"),
        (("token", "create", "ann"), "LLAMAQ_JWT_SECRET"),
    ],
)
def test_nothing_found_says_where_it_looked_and_what_else_there_is(
    command: tuple[str, ...], variable: str, tmp_path: Path
) -> None:
    result = llamaq(*command)
    assert result.exit_code == 1
    assert str(tmp_path / ".local/share/llamaq") in result.stderr
    assert "--data-dir" in result.stderr
    assert variable in result.stderr
    assert "openssl" not in result.stderr  # a new secret would make tokens that nobody accepts
    assert not result.stdout


def test_join_line_is_kept_out_of_the_history(default: Home) -> None:
    line = llamaq("join").stdout
    assert line.startswith(" LLAMAQ_REDIS_URL=redis://:pass@192.168.1.5:6400/0 llamaq bridge")


def test_join_takes_another_address(default: Home) -> None:
    assert "@box.lan:6400/0" in llamaq("join", "box.lan").stdout
    assert "@box.lan:7000/0" in llamaq("join", "box.lan:7000").stdout


def test_join_says_how_to_open_an_up_that_is_closed(default: Home) -> None:
    default.redis_listen.unlink()
    result = llamaq("join", "192.168.1.5")
    assert result.exit_code == 1
    assert "--lan" in result.stderr


def test_join_needs_the_address_of_a_redis_elsewhere() -> None:
    result = llamaq("join", LLAMAQ_REDIS_URL="redis://:hunter2@redis")
    assert result.exit_code == 2
    assert "ADDRESS" in result.stderr
    assert "hunter2" not in result.output


def test_status_of_an_up_that_was_killed_says_so(default: Home) -> None:
    assert "llamaq up" in redis_of_status()
    assert "LLAMAQ_REDIS_URL" not in redis_of_status()


def test_join_without_an_address_names_the_sentinels() -> None:
    url = "redis+sentinel://:pw@a:1,b:2/main/0"
    assert url in llamaq("join", LLAMAQ_REDIS_URL=url).stdout
    assert "redis://:pw@box:6379/0" in llamaq("join", "box", LLAMAQ_REDIS_URL=url).stdout
