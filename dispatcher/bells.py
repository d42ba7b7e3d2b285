"""Where a bridge waits until it is called."""

from typing import Any

from redis.asyncio import Redis

from dispatcher.connection import BLOCK_S, redis_faults
from dispatcher.keys import Keys


async def wait_for_call(
    redis: Redis, keys: Keys, worker: str, *, has_room: bool, longest_s: float = BLOCK_S
) -> str | None:
    """Blocks, up to `longest_s` <= `BLOCK_S`, until there is something to do; needs a client of its
    own.

    Returns the token of an attempt to cancel, or None when the bridge should claim. A bridge
    without room doesn't listen to the bell that all share: it would take the ring from one that
    has room.
    """
    bells = [keys.named("cancels", worker), keys.named("bell_of", worker)]
    if has_room:
        bells.append(keys.named("bell"))
    with redis_faults():
        popped: Any = await redis.bzpopmin(bells, timeout=longest_s)
    if popped and popped[0] == bells[0].encode():
        return str(popped[1], "ascii")
    return None
