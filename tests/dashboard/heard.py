"""What a screen reader has of the page: Chromium's accessibility tree, and what is announced."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.dashboard.browser import Browser

LEFT = "\ue012"
_LISTENED_S = 30.0
_MOST_ANNOUNCED = 2  # in that time, while nothing happens but load
_LANDMARKS = {"banner": "", "navigation": "Views", "main": "", "contentinfo": ""}
_TABLES = {
    "Workers of demo": ("Worker", "State", "Slots", "Tokens/s now", "Last week", "Cache hits"),
    "Requests": ("Request", "Where it is", "Progress", "Tenant", "For"),
}
_CHARTS = (
    "Tokens per second",
    "Time to the first token",
    "Requests per minute",
    "Time in the queue",
)
_SILENT = frozenset(("none", "generic", "InlineTextBox", "StaticText", "LineBreak"))


@dataclass(frozen=True, slots=True)
class Heard:
    """A node of the tree, `depth` deep, and those under it. `level` is that of a heading."""

    role: str
    name: str
    level: int
    depth: int
    parts: tuple["Heard", ...]

    def all(self) -> Iterator["Heard"]:
        yield self
        for part in self.parts:
            yield from part.all()


def heard(page: Browser) -> Heard:
    """All of the page, as it is now."""
    nodes = page.command("Accessibility.getFullAXTree", {})["nodes"]
    by_id = {node["nodeId"]: node for node in nodes}
    return _read(nodes[0], by_id, 0)


def _read(node: Any, by_id: dict[str, Any], depth: int) -> Heard:
    parts = [_read(by_id[one], by_id, depth + 1) for one in node["childIds"] if one in by_id]
    role = "none" if node["ignored"] else node["role"]["value"]
    properties = {each["name"]: each["value"].get("value") for each in node.get("properties", ())}
    name = node.get("name", {}).get("value", "")
    return Heard(role, name, int(properties.get("level", 0)), depth, tuple(parts))


def lines(root: Heard) -> str:
    """The tree as text, for people."""
    told = [each for each in root.all() if each.role not in _SILENT]
    return "".join(f"{'  ' * min(each.depth, 12)}{each.role} {each.name!r}\n" for each in told)


def screen_reader_finds_its_way(page: Browser, file: Path) -> None:
    """Landmarks, headings, tables, charts and buttons have the names that a screen reader says."""
    root = heard(page)
    file.write_text(lines(root))
    found = list(root.all())
    for role, name in _LANDMARKS.items():
        assert [each.name for each in found if each.role == role] == [name], role
    _check_headings([each for each in found if each.role == "heading"])
    _check_tables([each for each in found if each.role == "table"])
    assert [each.name for each in found if each.role == "slider"] == list(_CHARTS)
    _check_buttons([each.name for each in found if each.role == "button"])


def _check_headings(headings: Sequence[Heard]) -> None:
    levels = [each.level for each in headings]
    assert levels.count(1) == 1, levels
    assert levels[0] == 1, "the verdict comes first"
    steps = [after - before for before, after in pairwise(levels)]
    assert max(steps) <= 1, [(each.level, each.name) for each in headings]
    assert all(each.name for each in headings)


def _check_tables(tables: Sequence[Heard]) -> None:
    by_name = {table.name: table for table in tables}
    for name, columns in _TABLES.items():
        table = list(by_name[name].all())
        heads = [each.name for each in table if each.role == "columnheader"]
        assert set(columns) <= set(heads), heads
        rows = [each for each in table if each.role == "row"][1:]
        assert rows, name
        for row in rows:
            assert any(each.role == "rowheader" and each.name for each in row.all()), row


def _check_buttons(names: Sequence[str]) -> None:
    assert all(names), names
    twice = [name for name, times in Counter(names).items() if times > 1]
    assert not twice, f"more than one button is called {twice}"
    assert any(name.startswith("Drain demo1") for name in names), names
    assert any(name.startswith("Cancel request ") for name in names), names


def arrows_read_the_charts(page: Browser) -> None:
    """The arrow keys choose a time in a chart: its value is told, and all charts show that time."""
    page.run("document.querySelector('#charts svg[role=slider]').focus()")
    told = [_told_by_charts(page)]
    for _ in range(2):
        page.press(LEFT)
        told.append(_told_by_charts(page))
    times = [{text.partition(": ")[0] for text in each} for each in told]
    assert len(times[1]) == len(times[2]) == 1, told
    assert times[1] != times[2], told
    assert ": answers " in told[2][0], told


def _told_by_charts(page: Browser) -> list[str]:
    charts = "document.querySelectorAll('#charts svg[role=slider]')"
    return list(page.run(f"return [...{charts}].map(each => each.ariaValueText)"))


def load_is_not_announced(page: Browser) -> None:
    """Figures change every second, and a screen reader is not told of them."""
    page.run(
        "const e = document.getElementById('spoken'); window.told = [];"
        " new MutationObserver(() => window.told.push(e.textContent)).observe(e, {childList: true})"
    )
    live = page.run(
        "return [...document.querySelectorAll('[aria-live]:not([aria-live=off]), [role=status],"
        " [role=alert], [role=log]:not([aria-live=off]), output')].map(e => e.id)"
    )
    assert live == ["spoken"], live
    before = page.text("#tiles")
    time.sleep(_LISTENED_S)
    assert page.text("#tiles") != before, "nothing has changed"
    told = [text for text in page.run("return window.told") if text]
    print(f"  announced in {_LISTENED_S:.0f} s: {told or 'nothing'}", flush=True)
    assert len(told) <= _MOST_ANNOUNCED, told
