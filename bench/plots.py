"""Draws the results of a scenario: a bar for each system, and a line from least to most."""

from collections.abc import Iterator, Sequence
from html import escape
from statistics import median

from bench.report import Found, shown

_COLOURS = ("#3b6ea5", "#8fb3d9", "#c97b3c", "#7a7a7a", "#5b9a5b", "#a85b9a")
_WIDTH, _LEFT, _RIGHT = 720, 170, 90
_BAR, _STEP, _GAP = 14, 20, 34


def draw(found: Found) -> str:
    """An SVG with a group of bars for each figure, each on a scale of its own."""
    parts, y = [], 10
    for figure in found.scenario.figures:
        parts.append(_text(10, y + 12, figure.title, weight="bold"))
        y += _STEP
        rows = [(name, found.values(name, figure)) for name in found.systems]
        rows = [(name, values) for name, values in rows if any(values)]
        most = max((max(values) for _, values in rows), default=1)
        for name, values in rows:
            colour = _COLOURS[found.systems.index(name) % len(_COLOURS)]
            parts += _bar(y, name, values, most, colour)
            y += _STEP
        y += _GAP - _STEP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{y}"'
    title = f"<title>{escape(found.scenario.about)}</title>"
    return "\n".join(
        [f'{head} font-family="sans-serif" font-size="12">', title, *parts, "</svg>\n"]
    )


def _bar(y: int, name: str, values: Sequence[float], most: float, colour: str) -> Iterator[str]:
    scale = (_WIDTH - _LEFT - _RIGHT) / most
    typical, middle = median(values), y + _BAR // 2
    width = max(1.0, typical * scale)
    yield _text(_LEFT - 8, y + 12, name, anchor="end")
    yield f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{colour}"/>'
    from_, to = (_LEFT + value * scale for value in (min(values), max(values)))
    yield f'<path d="M{from_:.1f} {middle}H{to:.1f}" stroke="#000" stroke-width="2"/>'
    yield _text(max(_LEFT + width, to) + 6, y + 12, shown(typical))


def _text(x: float, y: int, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    place = f'x="{x:.1f}" y="{y}" text-anchor="{anchor}" font-weight="{weight}"'
    return f'<text {place} fill="#333">{escape(text)}</text>'
