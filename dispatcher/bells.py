"""Where a bridge waits until it is called."""

import asyncio
from functools import lru_cache
from typing import NamedTuple

from dispatcher.connection import BLOCK_S, LinkedRedis
from dispatcher.keys import Keys


class Call(NamedTuple):
    """What a bridge is to do: claim. `for_all`: it heard a bell that all share.

    It need not claim where nothing waits and it only has room again: `only_room` in its slots,
    `only_side_room` beside them. With `cancel` it stops the attempt of this id instead.
    """

    cancel: str | None = None
    only_room: bool = False
    only_side_room: bool = False
    for_all: bool = False


async def wait_for_call(
    redis: LinkedRedis,
    keys: Keys,
    worker: str,
    *,
    has_room: bool,
    has_side_room: bool = False,
    longest_s: float = BLOCK_S,
) -> Call:
    """Blocks until there is something to do, for `longest_s` <= `BLOCK_S` at most; needs a client
    of its own.

    A bridge without free slots doesn't listen to the bell that all share, and one without free side
    places not to the bell for what needs no slot. It would take the ring from one that has room.
    """
    bells = _bells(keys, worker)
    heard = bells[:2]
    if has_side_room:
        heard += bells[2:3]
    if has_room:
        heard += bells[3:]
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
    for_all = bell in (bells[2].encode(), bells[3].encode())
    return Call(None, member == b"room", member == b"side_room", for_all)


@lru_cache(maxsize=64)
def _bells(keys: Keys, worker: str) -> tuple[str, ...]:
    """Where cancels, its own rings, and the rings for all come: first for what needs no slot, then
    for slots. The first that has something counts.
    """
    own = keys.named("cancels", worker), keys.named("bell_of", worker)
    return *own, keys.named("side_bell"), keys.named("bell")
