"""What `llamaq invite` and `uninvite` do in Redis."""

import asyncio
import secrets
import time
from functools import partial
from hashlib import sha256

from api.names import model_named
from dispatcher.commands import Commands
from dispatcher.connection import LinkedRedis
from dispatcher.invitations import (
    BadInvitation,
    Invitation,
    check_name,
    read_invitations,
    remove_invitation,
    write_invitation,
)
from dispatcher.invited_users import admit, end_workers, expel
from dispatcher.keys import Keys
from dispatcher.reaper import reap
from dispatcher.registry import read_registry
from llamaq.queue_redis import queue_redis

_GONE_S = 3.0
_LOOK_S = 0.1
_RESERVED = "tenant:", "kept:"  # hash tags of keys that are no model's

_invitations_in = partial(queue_redis, refused="to change its users", mistakes=(BadInvitation,))


async def invite(name: str, model: str, redis_url: str) -> str:
    """Makes a user for this machine and model. Returns its password, which nobody keeps.

    Raises `click.ClickException` where that can't be done, and `RedisUnavailable`, as all here do.
    """
    async with _invitations_in(redis_url) as redis:
        await _check(redis, name, model)
        password = secrets.token_urlsafe(32)
        hashed = sha256(password.encode()).hexdigest()
        invitation = Invitation(name, model, hashed, int(time.time()))
        await write_invitation(redis, invitation)  # first: an API removes users without one
        try:
            await admit(redis, invitation)
        except BaseException:
            await remove_invitation(redis, name)
            raise
        return password


async def _check(redis: LinkedRedis, name: str, model: str) -> None:
    check_name(name)
    registry = await read_registry(redis)
    known = registry.invitations.get(name)
    if known is not None and not known.ended:
        raise BadInvitation(
            f"{name!r} is invited already, to the model {known.model!r}. To give it another model "
            f"or another secret, take that back first: llamaq uninvite {name}"
        )
    if redis.connection_pool.connection_kwargs.get("db"):
        raise BadInvitation(
            "Invited machines need database 0 of Redis: an address that ends in /0, or in none. "
            "Redis keeps no user out of single databases."
        )
    if model.startswith(_RESERVED):
        raise BadInvitation(f"{model!r} can't be the name of a model: it stands for other keys.")
    meant = model_named(model, {state.model: state for state in registry.models})
    if meant not in (None, model):
        raise BadInvitation(f"{model!r} is another name of the model {meant!r}: invite to that.")


async def uninvite(name: str, lease_s: float, redis_url: str) -> int:
    """Ends the access of this machine; returns how many workers it had.

    It returns when their jobs have been given back, or after 3 s.
    """
    async with _invitations_in(redis_url) as redis:
        invitation = (await read_invitations(redis)).get(name)
        if invitation is None:
            known = ", ".join(sorted(await read_invitations(redis)))
            raise BadInvitation(f"No machine {name!r} is invited. Invited are: {known or 'none'}.")
        await remove_invitation(redis, name)
        await expel(redis, name)
        workers = await end_workers(redis, invitation, int(lease_s * 1000))
        await _until_gone(redis, invitation.model, workers, lease_s)
        return len(workers)


async def _until_gone(redis: LinkedRedis, model: str, workers: set[str], lease_s: float) -> None:
    """Reaps until they are gone. Every process does that, but there may be no other."""
    commands, left = Commands(redis, Keys(model)), set(workers)
    until = time.monotonic() + _GONE_S
    while left and time.monotonic() < until:
        await reap(commands, lease_s)
        scores = [
            redis.link.call("ZSCORE", commands.keys.named("workers"), worker) for worker in left
        ]
        there = await asyncio.gather(*scores)
        left = {worker for worker, score in zip(left, there, strict=True) if score is not None}
        await asyncio.sleep(_LOOK_S if left else 0)


async def list_all(redis_url: str) -> list[tuple[Invitation, int]]:
    """All invitations by name, and how many workers of each live."""
    async with _invitations_in(redis_url) as redis:
        registry = await read_registry(redis)
    live = [worker.invited for state in registry.models for worker in state.workers]
    return [(each, live.count(name)) for name, each in sorted(registry.invitations.items())]
