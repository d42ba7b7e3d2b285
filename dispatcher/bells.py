"""Where a bridge waits until it is called."""

import asyncio
from functools import lru_cache
from typing import NamedTuple

from dispatcher.connection import BLOCK_S, LinkedRedis
from dispatcher.keys import Keys


class Call(NamedTuple):
    """What a bridge is to do: claim, unless it has `only_room` again and nothing waits.

    Or, with `cancel`, to stop the attempt with this token.
    """

    cancel: str | None = None
    only_room: bool = False


async def wait_for_call(
    redis: LinkedRedis, keys: Keys, worker: str, *, has_room: bool, longest_s: float = BLOCK_S
) -> Call:
    """Blocks, up to `longest_s` <= `BLOCK_S`, until there is something to do; needs a client of its
    own.

    A bridge without room doesn't listen to the bell that all share: it would take the ring from one
    that has room.
    """
    bells = _bells(keys, worker)
    heard = bells if has_room else bells[:2]
    try:
        popped = await redis.link.call("BZPOPMIN", *heard, longest_s)
    except asyncio.CancelledError:
        redis.link.drop()  # else it would take a ring that nobody hears
        raise
    if not popped:
        return Call()
    bell, member, _ = popped
    if bell == bells[0].encode():
        return Call(cancel=str(member, "ascii"))
    return Call(only_room=member == b"room")


@lru_cache(maxsize=64)
def _bells(keys: Keys, worker: str) -> tuple[str, str, str]:
    """Where cancels, its own rings, and those for all come; the first that has something counts."""
    return keys.named("cancels", worker), keys.named("bell_of", worker), keys.named("bell")
