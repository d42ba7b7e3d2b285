"""The Redis users of invited machines: makes and removes them, and ends what they had begun."""

from dispatcher.connection import LinkedRedis
from dispatcher.invitations import Invitation
from dispatcher.invited_user import machine_of, rules, user_of
from dispatcher.keys import Keys
from dispatcher.redis_clock import redis_now_ms
from dispatcher.registry import MOST_WORKERS, ask_for_each


async def admit(redis: LinkedRedis, invitation: Invitation) -> None:
    """Makes the machine's user, or gives it these rules.

    As all functions here it raises `RedisUnavailable`, and `ResponseError` where Redis knows no
    such rules.
    """
    allowed = rules(invitation.model, invitation.password_hash)
    await redis.link.call("ACL", "SETUSER", user_of(invitation.name), *allowed)


async def expel(redis: LinkedRedis, machine: str) -> None:
    """Removes the machine's user: Redis closes its connections at once."""
    await redis.link.call("ACL", "DELUSER", user_of(machine))


async def machines_admitted(redis: LinkedRedis) -> set[str]:
    """The machines that have a user now."""
    users = await redis.link.call("ACL", "USERS")
    return {machine_of(user.decode(errors="replace")) for user in users} - {""}


async def end_workers(redis: LinkedRedis, invitation: Invitation, lease_ms: int) -> set[str]:
    """Ends the leases of the machine's workers: the next reap gives their jobs to others.

    Returns these workers. A worker may not have told whose it is: so no lease of the model lasts
    longer than `lease_ms` from now on. A bridge that lives renews its own.
    """
    link, keys = redis.apart(invitation.model), Keys(invitation.model)
    workers = keys.named("workers")
    now_ms = await redis_now_ms(link)
    live = await link.call("ZRANGEBYSCORE", workers, now_ms, "+inf", "LIMIT", 0, MOST_WORKERS)
    rows = [keys.named("worker").encode() + worker for worker in live]
    told = await ask_for_each(link, [("HGET", row, "invited") for row in rows])
    own = {
        worker for worker, name in zip(live, told, strict=True) if name == invitation.name.encode()
    }
    latest = {worker: 1 if worker in own else now_ms + lease_ms for worker in live}
    if live:
        ends = (item for worker, end in latest.items() for item in (end, worker))
        await link.call("ZADD", workers, "XX", "LT", *ends)
    return {worker.decode(errors="replace") for worker in own}
