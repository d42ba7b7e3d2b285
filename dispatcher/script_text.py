"""Puts each script together from lua/*.lua. The contract of each heads its file."""

from functools import cache
from importlib.resources import files

from dispatcher.keys import NAMES
from dispatcher.tier import Tier

_READING = ("common", "soundness")
_QUEUEING = (*_READING, "fairness", "queueing", "retiring")
_CLAIMING = (*_QUEUEING, "protocol", "leaving", "candidates", "claiming")
_PARTS = {
    "emit": ("common",),
    "position": (*_READING, "fairness"),
    "enqueue": (*_QUEUEING, "admission"),
    "cancel": _QUEUEING,
    "resume": (*_QUEUEING, "recovering"),
    "release": (*_QUEUEING, "recovering"),
    "register": (*_QUEUEING, "recovering", "protocol"),
    "renew": (*_QUEUEING, "recovering", "protocol"),
    "reap": (*_QUEUEING, "recovering", "recount"),
    "claim": _CLAIMING,
    "finish": _CLAIMING,
}


@cache
def source(name: str) -> str:
    """The text of lua/<name>.lua."""
    return (files("dispatcher") / "lua" / f"{name}.lua").read_text()


@cache
def script_text(name: str, clock_offset_ms: int, protocol: int) -> str:
    """The text of one script. For tests the clock may be off, in ms, and the protocol another."""
    names = ", ".join(f"{name} = P .. '{ending}'" for name, ending in NAMES.items())
    weights = ", ".join(f"{tier} = {tier.weight}" for tier in Tier)
    head = (
        f"local P = KEYS[1]\nlocal K = {{{names}}}\n"
        f"local TIER_WEIGHTS = {{{weights}}}\nlocal CLOCK_OFFSET_MS = {clock_offset_ms}\n"
        f"local PROTOCOL = {protocol}\n"
    )
    return head + "".join(map(source, (*_PARTS.get(name, _QUEUEING), name)))
