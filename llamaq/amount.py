"""Large numbers as people write them."""

import re
from typing import Any

import click

from dispatcher.limits import LARGEST

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


class Amount(click.ParamType[int]):
    """A command-line parameter such as `60`, `200k` or `1.5M`; its value is a whole number."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number, or a usage error that says how to write it."""
        match = re.fullmatch(r"(\d{1,15})(?:\.(\d{1,3}))?([kmg]?)", str(value).strip().lower())
        whole, part, unit = match.groups() if match else ("", "", "")
        thousandths = int(whole or "0") * 1000 + int((part or "").ljust(3, "0"))
        amount, rest = divmod(thousandths * _UNITS[unit], 1000)
        if not match or rest or amount > LARGEST:
            self.fail(f"{value!r} is not an amount: write 60, 200k or 1.5M", param, ctx)
        return amount


def written(amount: int) -> str:
    """The same as short as it can be.

    >>> written(200_000), written(1_500_000), written(1234), written(0)
    ('200k', '1500k', '1234', '0')
    """
    for unit in ("g", "m", "k"):
        if amount and amount % _UNITS[unit] == 0:
            return f"{amount // _UNITS[unit]}{unit if unit == 'k' else unit.upper()}"
    return str(amount)
