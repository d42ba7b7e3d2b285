"""Where a bridge waits until it is called."""

from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from dispatcher.connection import BLOCK_S, redis_faults
from dispatcher.keys import Keys


@dataclass(frozen=True, slots=True)
class Call:
    """What a bridge is to do: claim, unless it has `only_room` again and nothing waits.

    Or, with `cancel`, to stop the attempt with this token.
    """

    cancel: str | None = None
    only_room: bool = False


async def wait_for_call(
    redis: Redis, keys: Keys, worker: str, *, has_room: bool, longest_s: float = BLOCK_S
) -> Call:
    """Blocks, up to `longest_s` <= `BLOCK_S`, until there is something to do; needs a client of its
    own.

    A bridge without room doesn't listen to the bell that all share: it would take the ring from one
    that has room.
    """
    bells = [keys.named("cancels", worker), keys.named("bell_of", worker)]
    if has_room:
        bells.append(keys.named("bell"))
    with redis_faults():
        popped: Any = await redis.bzpopmin(bells, timeout=longest_s)
    if not popped:
        return Call()
    bell, member, _ = popped
    if bell == bells[0].encode():
        return Call(cancel=str(member, "ascii"))
    return Call(only_room=member == b"room")
