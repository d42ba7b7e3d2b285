import stat
from pathlib import Path

import pytest

from llamaq.home import Home, keep_secret, write_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folder_is_for_this_user_only(tmp_path: Path) -> None:
    home = Home(tmp_path / "a" / "b")
    home.create()
    home.create()
    assert mode(home.folder) == 0o700


def test_secret_is_made_once_and_for_this_user_only(tmp_path: Path) -> None:
    secret = keep_secret(tmp_path / "secret")
    assert keep_secret(tmp_path / "secret") == secret
    assert mode(tmp_path / "secret") == 0o600
    assert len(bytes.fromhex(secret)) == 32


def test_two_secrets_differ(tmp_path: Path) -> None:
    assert keep_secret(tmp_path / "a") != keep_secret(tmp_path / "b")


def test_secret_of_the_users_own_is_kept(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("my own words\n")
    assert keep_secret(tmp_path / "secret") == "my own words"


def test_private_file_is_replaced_unless_it_must_be_new(tmp_path: Path) -> None:
    write_private(tmp_path / "f", "a longer text")
    write_private(tmp_path / "f", "short")
    assert (tmp_path / "f").read_text() == "short"
    assert mode(tmp_path / "f") == 0o600
    with pytest.raises(FileExistsError):
        write_private(tmp_path / "f", "new", exclusive=True)
