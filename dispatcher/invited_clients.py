"""What the connections of invited machines take of Redis."""

import re
from collections import defaultdict
from dataclasses import dataclass

from dispatcher.connection import LinkedRedis
from dispatcher.invited_user import machine_of

_FIELD = re.compile(r"([\w-]+)=(\S*)")


@dataclass(slots=True)
class Held:
    """How many connections a machine has, and the memory of their buffers."""

    connections: int = 0
    bytes: int = 0


async def read_held(redis: LinkedRedis) -> dict[str, Held]:
    """By machine. Raises `RedisUnavailable` and `ResponseError`."""
    return held_in((await redis.link.call("CLIENT", "LIST")).decode(errors="replace"))


def held_in(clients: str) -> dict[str, Held]:
    """What CLIENT LIST tells of invited machines.

    >>> held_in("id=1 user=invited-bob omem=5 tot-mem=70\\nid=2 user=default tot-mem=9")
    {'bob': Held(connections=1, bytes=70)}
    """
    held: dict[str, Held] = defaultdict(Held)
    for line in clients.splitlines():
        about = dict(_FIELD.findall(line))
        if machine := machine_of(about.get("user")):
            held[machine].connections += 1
            held[machine].bytes += int(about.get("tot-mem") or about.get("omem") or 0)
    return dict(held)
