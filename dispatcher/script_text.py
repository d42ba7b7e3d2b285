"""Puts each script together: lua/<name>.lua, what it includes of lua/parts/, and constants.

A line `-- @include x` names lua/parts/x.lua, which is put before the text. `-- @lazy x` names
one that is made only when its function `x` is called. A script gets only the parts that it reaches.
`K.queue` stands for the key of that name in dispatcher/keys.py, and a name in capitals for its
value in dispatcher/constants.py. QUEUED_JOB and ENDED stand for how many fields such a row has in
dispatcher/arguments.py, and for a function that makes a table of it.
"""

import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from dispatcher import constants
from dispatcher.arguments import Ended, QueuedJob
from dispatcher.keys import NAMES
from dispatcher.tier import Tier

LUA = files("dispatcher") / "lua"
SCRIPTS = (
    *("admit", "api_heartbeat", "call_off", "cancel", "claim", "drain", "emit", "enqueue"),
    *("finish", "hold", "look"),
    *("oldest_waiting", "position", "reap", "register", "release", "renew", "resume", "roster"),
    *("used", "used_by_each", "waiting_by_tier", "weigh", "wipe"),
    *("begin_once", "keep_answer", "free_key", "renew_keys"),
)

_USE = re.compile(r"^-- @(include|lazy) (\w+)$", re.MULTILINE)
_COMMENT = re.compile(r"^ *--.*\n|  -- .*$", re.MULTILINE)
_KEY = re.compile(r"\bK\.(\w+)")
_CONSTANT = re.compile(r"\b[A-Z][A-Z_]+\b")
_OF_A_CALLER = re.compile(r"\b(?:NOW_MS|PROTOCOL)\b")
_LOCAL = re.compile(r"^local ", re.MULTILINE)

# An invited machine may run them with as many arguments as it likes, and Redis does nothing else
# meanwhile. Only an API's heartbeat names more: it begins with what such a machine may not do.
_OF_MANY = "api_heartbeat"
_BOUND = f"if #ARGV > {constants.MOST_ARGUMENTS} then error('too many arguments', 0) end\n"

_LAYER = 24  # locals

NOW_MS = "(function(t) return t[1] * 1000 + math.floor(t[2] / 1000) end)(redis.call('TIME'))"
"""The scripts' clock, in Lua. Tests put another one in its place."""


@cache
def script_text(name: str, clock_offset_ms: int, protocol: int) -> str:
    """The text of one script. For tests the clock may be off, in ms, and the protocol another."""
    values = {"PROTOCOL": str(protocol), "NOW_MS": f"{NOW_MS} + {clock_offset_ms}"}
    return _OF_A_CALLER.sub(lambda found: values[found[0]], timeless_text(name))


@cache
def timeless_text(name: str) -> str:
    """The same with `NOW_MS` and `PROTOCOL` still in it: tests move the clock all the time."""
    values = _values()
    text = (LUA / f"{name}.lua").read_text()
    body = _COMMENT.sub("", _in_layers(_Scope(frozenset(), text).parts_of(text)))
    body = _CONSTANT.sub(lambda found: values.get(found[0], found[0]), body)
    body = _KEY.sub(lambda found: f"PREFIX .. '{NAMES[found[1]]}'", body)
    return _head(name, body) + body


def _in_layers(parts: Iterable[str]) -> str:
    """The parts one after the other; what comes after many locals is a function of its own.

    To make a function, Lua looks for each local that it uses among all that are in use already. It
    does so only for those of the function around it: others are known there.
    """
    text, layers, locals_ = "", 0, 0
    for part in parts:
        if locals_ >= _LAYER:
            text, layers, locals_ = text + "return (function()\n", layers + 1, 0
        text, locals_ = text + part, locals_ + len(_LOCAL.findall(part))
    return text + "end)()\n" * layers


def _head(name: str, body: str) -> str:
    weights = ", ".join(f"{tier} = {tier.weight}" for tier in Tier)
    tiers = f"local TIER_WEIGHTS = {{{weights}}}\n" if "TIER_WEIGHTS" in body else ""
    bound = "" if name == _OF_MANY else _BOUND
    return f"local PREFIX = KEYS[1]\n{bound}{tiers}"


def _values() -> dict[str, str]:
    found = {name: value for name, value in vars(constants).items() if name.isupper()}
    rows = {"QUEUED_JOB": _row(QueuedJob._fields), "ENDED": _row(Ended._fields)}
    return {name: _in_lua(value) for name, value in found.items()} | rows


def _row(fields: tuple[str, ...]) -> str:
    items = ", ".join(f"{name} = values[at + {i}]" for i, name in enumerate(fields))
    return f"{len(fields)}, function(values, at) return {{{items}}} end"


def _in_lua(value: object) -> str:
    if isinstance(value, tuple):
        return "{" + ", ".join(map(_in_lua, value)) + "}"
    return f"'{value}'" if isinstance(value, str) else str(value)


class _Scope:
    """The parts that are in reach at one place of a script.

    An included part is put before what includes it. A lazy part is made when it is first called: in
    its place is a function that makes it, with the parts that only it needs. Each call of a script
    makes all its functions again.
    """

    def __init__(self, known: frozenset[str], text: str) -> None:
        self._known = set(known)
        self._included = _reached(text)
        self._found: list[str] = []

    def parts_of(self, text: str) -> list[str]:
        """The parts that the text needs, and then the text."""
        self._add_parts_of(text)
        return [*self._found, text]

    def _add_parts_of(self, text: str) -> None:
        for kind, part in _uses(text):
            if part not in self._known:
                (self._include if kind == "include" else self._make_lazy)(part)

    def _include(self, part: str) -> None:
        self._known.add(part)
        text = _part(part)
        self._add_parts_of(text)
        self._found.append(text)

    def _make_lazy(self, part: str) -> None:
        if part in self._included:
            self._include(part)
            return
        self._known.add(part)
        text = _part(part)
        for inner in sorted(_reached(text) & self._included - self._known):
            if inner not in self._known:
                self._include(inner)
        inside = "".join(_Scope(frozenset(self._known), text).parts_of(text))
        self._found.append(_LAZY.format(part=part, inside=inside))


_LAZY = """local made_{part}
local function {part}(...)
if not made_{part} then
{inside}made_{part} = {part}
end
return made_{part}(...)
end
"""


@cache
def _part(name: str) -> str:
    return (LUA / "parts" / f"{name}.lua").read_text()


def _reached(text: str, above: tuple[str, ...] = ()) -> frozenset[str]:
    """The parts that a text includes, and those that these include."""
    found: set[str] = set()
    for kind, part in _uses(text):
        if part in above:
            raise ValueError(f"a part of lua/ includes itself: {' > '.join((*above, part))}")
        if kind == "include":
            found |= {part, *_reached(_part(part), (*above, part))}
    return frozenset(found)


@cache
def _uses(text: str) -> tuple[tuple[str, str], ...]:
    return tuple(_USE.findall(text))
