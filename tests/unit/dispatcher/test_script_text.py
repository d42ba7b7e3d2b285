"""Each script gets what it includes, and no more."""

import re
from importlib.resources.abc import Traversable
from pathlib import Path

import pytest

from dispatcher import script_text
from dispatcher.script_text import SCRIPTS


def text_of(name: str) -> str:
    return script_text.script_text(name, 0, 1)


def test_script_has_only_the_parts_that_it_reaches() -> None:
    assert "local function extend_lease(" in text_of("emit")
    assert "local function charge(" not in text_of("emit")


def test_part_is_made_once_where_it_is_included() -> None:
    assert text_of("claim").count("local function charge(") == 1


def test_lazy_part_is_made_when_it_is_called() -> None:
    before, _, inside = text_of("cancel").partition("if not made_retire then\n")
    assert "local function take_off(" not in before
    assert "local function take_off(" in inside.partition("made_retire = retire\n")[0]


def test_what_stands_behind_many_locals_is_a_function_of_its_own() -> None:
    outer, *inner = text_of("finish").split("return (function()\n")
    assert len(inner) >= 2
    assert inner[-1].endswith("end)()\n" * len(inner))
    assert all(len(re.findall("^local ", layer, re.MULTILINE)) > 10 for layer in (outer, inner[0]))
    assert "return (function()\n" not in text_of("emit")


def test_keys_stand_for_their_names() -> None:
    assert "redis.call('DEL', PREFIX .. 'body:' .. id)" in text_of("cancel")


def test_constants_stand_for_their_values() -> None:
    assert "'PX', 1800000)" in text_of("finish")


def test_every_script_is_named_once_and_every_part_is_reached() -> None:
    lua = Path(str(script_text.LUA))
    assert sorted(path.stem for path in lua.glob("*.lua")) == sorted(SCRIPTS)
    reached = "".join(text_of(name) for name in SCRIPTS)
    for part in (lua / "parts").glob("*.lua"):
        first = next(line for line in part.read_text().splitlines() if line.startswith("local"))
        assert first.split("=")[0].split("(")[0] in reached, part


def test_part_that_includes_itself_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "s.lua").write_text("-- @include a\n")
    (tmp_path / "parts" / "a.lua").write_text("-- @include b\n")
    (tmp_path / "parts" / "b.lua").write_text("-- @include a\n")
    folder: Traversable = tmp_path
    monkeypatch.setattr(script_text, "LUA", folder)
    with pytest.raises(ValueError, match="includes itself: a > b > a"):
        text_of("s")
