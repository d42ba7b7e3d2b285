"""Durations as people write them."""

import re
from typing import Any

import click

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


class Duration(click.ParamType[int]):
    """A command-line parameter such as `90d`, `12h` or `30m`; its value is in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Seconds, or a usage error that says how to write it."""
        match = re.fullmatch(r"(\d{1,6})([smhdw])", str(value).strip())
        if not match or int(match[1]) == 0:
            self.fail(f"{value!r} is not a duration: write 90d, 12h, 30m or 45s", param, ctx)
        return int(match[1]) * _UNITS[match[2]]
