"""How tokens are shown to people. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

_TIMES = "iat", "nbf", "exp"
_OF_ALL = {"jti", "sub", "iat", "exp", "aud", "iss", "revoked"}
_HEAD = ("ID", "SUBJECT", "ENDS", "")


def in_table(records: Sequence[Mapping[str, Any]]) -> str:
    """The tokens that were recorded, one a line."""
    if not records:
        return "No token is recorded: make one with `llamaq token create NAME`."
    rows = [_HEAD, *map(_row, records)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def in_lines(report: Mapping[str, Any]) -> str:
    """What is known of one token."""
    return "\n".join(_lines(report))


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    for part in ("header", "claims", "tenant"):
        if part in report:
            yield f"{part}:"
            for name, value in report[part].items():
                when = f"  ({_day(value)})" if name in _TIMES else ""
                yield f"  {plain(name)}: {plain(value)}{when}"
    yield "It is believed." if report["believed"] else f"It is not believed. {report['why']}"


def _row(claims: Mapping[str, Any]) -> tuple[str, ...]:
    more = [f"{name}={plain(value)}" for name, value in claims.items() if name not in _OF_ALL]
    if claims["revoked"]:
        more.insert(0, "revoked")
    return plain(claims["jti"]), plain(claims["sub"]), _day(claims["exp"]), " ".join(more)


def plain(value: Any) -> str:
    """A value in one line that does nothing to a terminal."""
    if isinstance(value, list):
        return ",".join(map(plain, value))
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(text)


def _day(seconds: Any) -> str:
    try:
        return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%d %H:%M} UTC"
    except (TypeError, ValueError, OverflowError, OSError):
        return "no time"
