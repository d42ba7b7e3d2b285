"""What an invited machine may do in Redis: the rules of its user. Pure."""

import re

from dispatcher.keys import Keys

_USER = "invited-"
_GLOB = re.compile(r"[*?\[\]\\]")

COMMANDS = (
    # Of bridges.
    *("bzpopmin", "evalsha", "get", "hgetall", "hmget", "ping"),
    # Of the scripts that bridges run: Redis asks for each of their commands, too.
    *("del", "exists", "hdel", "hget", "hincrby", "hlen", "hset", "hvals", "mget", "pexpire"),
    *("sadd", "scard", "set", "sismember", "smembers", "srem", "strlen", "time", "xadd"),
    *("zadd", "zcard", "zcount", "zincrby", "zmscore", "zrange", "zrangebylex", "zrangebyscore"),
    *("zrank", "zrem", "zremrangebyscore", "zrevrange", "zscore"),
)
"""All that a bridge says to Redis. None of these commands tells names of keys."""


def user_of(machine: str) -> str:
    """The Redis user of an invited machine.

    >>> user_of("bob")
    'invited-bob'
    """
    return _USER + machine


def machine_of(user: str | None) -> str:
    """The invited machine that has this Redis user; empty for any other user.

    >>> machine_of("invited-bob"), machine_of("default"), machine_of(None)
    ('bob', '', '')
    """
    return (user or "").removeprefix(_USER) if (user or "").startswith(_USER) else ""


def pattern_of(model: str) -> str:
    """What all keys of a model match, and no others."""
    return _GLOB.sub(r"\\\g<0>", Keys(model).prefix) + "*"


def rules(model: str, password_hash: str) -> tuple[str, ...]:
    """The rules of a user for one model, as ACL SETUSER takes them; they replace all older ones.

    `password_hash` is the SHA-256 of its password, in hex: Redis keeps no more than that either.

    >>> rules("a*", "ab12")[:5]
    ('reset', 'on', '#ab12', 'resetchannels', '~llamaq:{a\\\\*}:*')
    """
    allowed = (f"+{command}" for command in COMMANDS)
    return (
        "reset",
        "on",
        f"#{password_hash}",
        "resetchannels",
        f"~{pattern_of(model)}",
        "-@all",
        *allowed,
    )
