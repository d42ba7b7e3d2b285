"""Puts each script together: lua/<name>.lua, what it includes of lua/parts/, and constants.

A line `-- @include x` names lua/parts/x.lua. A script gets only the parts that it reaches, each
once and behind those that it includes itself, and makes only the keys that it uses. The names in
dispatcher/constants.py stand for their values.
"""

import re
from functools import cache
from importlib.resources import files

from dispatcher import constants
from dispatcher.keys import NAMES
from dispatcher.tier import Tier

LUA = files("dispatcher") / "lua"
SCRIPTS = (
    *("api_heartbeat", "cancel", "claim", "emit", "enqueue", "finish", "position"),
    *("reap", "register", "release", "renew", "resume"),
)

_INCLUDE = re.compile(r"^-- @include (\w+)$", re.MULTILINE)
_COMMENT = re.compile(r"^ *--.*\n|  -- .*$", re.MULTILINE)
_KEY = re.compile(r"\bK\.(\w+)")
_CONSTANT = re.compile(r"\b[A-Z][A-Z_]+\b")

NOW_MS = "(function(t) return t[1] * 1000 + math.floor(t[2] / 1000) end)(redis.call('TIME'))"
"""The scripts' clock, in Lua. Tests put another one in its place."""


@cache
def script_text(name: str, clock_offset_ms: int, protocol: int) -> str:
    """The text of one script. For tests the clock may be off, in ms, and the protocol another."""
    values = _values() | {"PROTOCOL": str(protocol), "NOW_MS": f"{NOW_MS} + {clock_offset_ms}"}
    body = "".join(_COMMENT.sub("", text) for text in _with_parts(name))
    body = _CONSTANT.sub(lambda found: values.get(found[0], found[0]), body)
    return _head(body) + body


def _head(body: str) -> str:
    used = sorted(set(_KEY.findall(body)))
    keys = ", ".join(f"{name} = P .. '{NAMES[name]}'" for name in used)
    weights = ", ".join(f"{tier} = {tier.weight}" for tier in Tier)
    head = f"local P = KEYS[1]\nlocal K = {{{keys}}}\n"
    return head + (f"local TIER_WEIGHTS = {{{weights}}}\n" if "TIER_WEIGHTS" in body else "")


def _values() -> dict[str, str]:
    found = {name: value for name, value in vars(constants).items() if name.isupper()}
    return {name: _in_lua(value) for name, value in found.items()}


def _in_lua(value: object) -> str:
    if isinstance(value, tuple):
        return "{" + ", ".join(f"'{word}'" for word in value) + "}"
    return str(value)


def _with_parts(name: str) -> list[str]:
    """The parts that a script reaches, each behind those that it needs, and the script."""
    text = (LUA / f"{name}.lua").read_text()
    done: dict[str, str] = {}
    for part in _INCLUDE.findall(text):
        _add(part, done, (name,))
    return [*done.values(), text]


def _add(part: str, done: dict[str, str], above: tuple[str, ...]) -> None:
    if part in above:
        raise ValueError(f"lua/parts/{part}.lua includes itself: {' > '.join((*above, part))}")
    if part in done:
        return
    text = (LUA / "parts" / f"{part}.lua").read_text()
    for inner in _INCLUDE.findall(text):
        _add(inner, done, (*above, part))
    done[part] = text
