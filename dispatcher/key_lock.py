"""A key that one process holds at a time: whoever holds it does the work."""

from dispatcher.link import Link


async def lock(link: Link, key: str, owner: str, for_ms: int) -> bool:
    """Whether this owner holds the key now: it was free, or the owner's already.

    It is free again after `for_ms` without a further call. Raises what `Link.call` raises.
    """
    if await link.call("SET", key, owner, "NX", "PX", for_ms) is not None:
        return True
    if await link.call("GET", key) != owner.encode():
        return False
    await link.call("PEXPIRE", key, for_ms)
    return True
