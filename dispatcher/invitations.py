"""The machines that operators have invited: one HASH in Redis, name → what it may serve.

The APIs make the Redis users that it names, also after a restart of Redis.
"""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from redis.exceptions import ResponseError

from dispatcher.connection import LinkedRedis
from dispatcher.keys import INVITED

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_HASH = re.compile(r"[0-9a-f]{64}")

_NO_INVITATION = ValueError, TypeError, KeyError, OverflowError, RecursionError
_LATEST_S = 253402300799  # in the year 9999: no calendar has a later day

log = logging.getLogger("llamaq.invitations")


class BadInvitation(Exception):
    """Nobody can be invited like this; the message says why."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """A machine that may serve one model, since a Unix time in seconds.

    `password_hash` is the SHA-256 of its password, in hex. `ended` says why an API has taken the
    invitation back; it is empty while it holds.
    """

    name: str
    model: str
    password_hash: str = field(repr=False)
    invited_s: int
    ended: str = ""


Invitations = Mapping[str, Invitation]


def check_name(name: str) -> None:
    """Raises `BadInvitation` unless a machine can be called so."""
    if not _NAME.fullmatch(name):
        raise BadInvitation(
            f"{name[:80]!r} can't be the name of a machine: it may have up to 63 letters, digits, "
            "dots, hyphens and underscores, and begins with a letter or a digit."
        )


async def read_invitations(redis: LinkedRedis) -> dict[str, Invitation]:
    """All of them by name, also those that have ended. What can't be read is left out, and logged.

    Raises `RedisUnavailable`.
    """
    try:
        said = await redis.link.call("HGETALL", INVITED)
    except ResponseError as error:
        log.error("The invitations in %s can't be read: %s", INVITED, error)
        return {}
    found = {}
    for name, row in zip(said[::2], said[1::2], strict=True):
        try:
            invitation = _read(name.decode(), row)
        except (*_NO_INVITATION, BadInvitation) as error:
            log.error("An invitation in %s is left out: %r", INVITED, error)
        else:
            found[invitation.name] = invitation
    return found


async def write_invitation(redis: LinkedRedis, invitation: Invitation) -> None:
    """Raises `RedisUnavailable` and `ResponseError`."""
    row = {name: value for name, value in asdict(invitation).items() if name != "name"}
    await redis.link.call("HSET", INVITED, invitation.name, json.dumps(row))


async def remove_invitation(redis: LinkedRedis, name: str) -> bool:
    """Returns whether there was one. Raises `RedisUnavailable` and `ResponseError`."""
    return bool(await redis.link.call("HDEL", INVITED, name))


async def end_invitation(redis: LinkedRedis, invitation: Invitation, why: str) -> None:
    """Takes it back, and notes why for operators. Raises `RedisUnavailable` and `ResponseError`."""
    await write_invitation(redis, replace(invitation, ended=why))


def holding(invitations: Invitations) -> dict[str, Invitation]:
    """Those that hold."""
    return {name: each for name, each in invitations.items() if not each.ended}


def _read(name: str, row: bytes) -> Invitation:
    check_name(name)
    about = json.loads(row)
    read = Invitation(
        name,
        model=str(about["model"]),
        password_hash=str(about["password_hash"]),
        invited_s=int(about["invited_s"]),
        ended=str(about.get("ended", "")),
    )
    if not 0 <= read.invited_s <= _LATEST_S:
        raise ValueError("nobody can have been invited then")
    if not _HASH.fullmatch(read.password_hash):
        raise ValueError("the hash of its password is none")
    return read
