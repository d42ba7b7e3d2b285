"""Distributions of several policies as an SVG file, by hand: lines, axes, words."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT, MARGIN = 460, 300, 50
_COLOURS = ("#0b6e4f", "#c1440e", "#3a5ba0", "#7a5195", "#8a8a00", "#008b9a", "#555555")
_POINTS = 200
_LEAST = 0.001

Curves = Mapping[str, Sequence[float]]
"""Values, in seconds, of each policy."""


def draw(panels: Mapping[str, Curves]) -> str:
    """One panel after the other: which part of all values is at most so large, on a log scale."""
    names = list(next(iter(panels.values())))
    body = [line for i, title in enumerate(panels) for line in _panel(i, title, panels[title])]
    width, height = WIDTH * len(panels), HEIGHT + 20 * (len(names) + 1)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="12">'
    )
    back = f'<rect width="{width}" height="{height}" fill="white"/>'
    return "\n".join([head, back, *body, *_legend(names), "</svg>", ""])


def _panel(number: int, title: str, curves: Curves) -> Iterator[str]:
    values = [max(_LEAST, value) for curve in curves.values() for value in curve] or [1.0]
    low, high = (
        floor(log10(min(values))),
        max(ceil(log10(max(values))), floor(log10(min(values))) + 1),
    )
    left, top = number * WIDTH + MARGIN, MARGIN // 2
    wide, tall = WIDTH - MARGIN - 20, HEIGHT - MARGIN - top

    def at(value: float, part: float) -> tuple[float, float]:
        x = (log10(max(_LEAST, value)) - low) / (high - low)
        return left + x * wide, top + (1 - part) * tall

    yield _text(left + wide / 2, top - 8, title, "middle")
    for power in range(low, high + 1):
        x, y = at(10.0**power, 0)
        yield _line([(x, y), (x, top)], "#dddddd")
        yield _text(x, y + 16, f"{10.0**power:g} s", "middle")
    for part in (0, 0.25, 0.5, 0.75, 1):
        x, y = at(10.0**low, part)
        yield _line([(x, y), (x + wide, y)], "#dddddd")
        yield _text(x - 6, y + 4, f"{part:.0%}", "end")
    for colour, curve in zip(_COLOURS, curves.values(), strict=False):
        yield _line([at(value, part) for value, part in _distribution(curve)], colour, 1.8)


def _distribution(values: Iterable[float]) -> Iterator[tuple[float, float]]:
    """Points of the curve; more of them near its upper end."""
    ordered = sorted(values)
    for step in range(_POINTS + 1 if ordered else 0):
        part = 1 - (1 - step / _POINTS) ** 2
        yield ordered[min(len(ordered) - 1, int(part * len(ordered)))], part


def _legend(names: Iterable[str]) -> Iterator[str]:
    for row, (colour, name) in enumerate(zip(_COLOURS, names, strict=False)):
        y = HEIGHT + 20 * row
        yield _line([(MARGIN, y), (MARGIN + 25, y)], colour, 3)
        yield _text(MARGIN + 32, y + 4, name, "start")


def _line(points: Iterable[tuple[float, float]], colour: str, width: float = 1) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
