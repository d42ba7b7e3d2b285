"""What `llamaq token` does with the revocations and records in Redis, and with a token."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import click

from api.auth import Authenticator
from api.errors import ApiError
from api.jwks import Jwks
from api.tenant import Tenant
from api.token_check import BadToken, unverified
from api.token_values import TokenValues
from dispatcher.connection import LinkedRedis
from dispatcher.revocations import (
    FOR_EVER,
    Revocations,
    TooManyRevoked,
    revoke_subject,
    revoke_token,
)
from dispatcher.token_records import TooManyTokens, read_tokens, record_token
from llamaq.queue_redis import queue_redis
from llamaq.token_text import plain

_SECOND_S = 1.2  # and a little more, for busy APIs

_tokens_in = partial(queue_redis, mistakes=(TooManyRevoked, TooManyTokens))


async def record(claims: Mapping[str, Any], redis_url: str) -> None:
    """Keeps the claims of a new token.

    Raises `click.ClickException` and `RedisUnavailable`, as all here do.
    """
    async with _tokens_in(redis_url) as redis:
        await record_token(redis, claims)


async def list_all(redis_url: str) -> list[dict[str, Any]]:
    """The claims of all recorded tokens, each with whether it is `revoked`."""
    async with _tokens_in(redis_url) as redis:
        revoked = await _revocations(redis)
        return [
            {**each, "revoked": _is_revoked(each, revoked)} for each in await read_tokens(redis)
        ]


async def revoked_in(redis_url: str) -> Revocations:
    """Which tokens are revoked."""
    async with _tokens_in(redis_url) as redis:
        return await _revocations(redis)


async def revoke_all(
    named: Sequence[str], subject: str | None, longest_s: int, redis_url: str
) -> list[str]:
    """Revokes tokens by their ids, or as a whole, and those of a subject. Returns what was done.

    No token lasts longer than `longest_s`; 0: any may.

    It returns when every API knows, and a new token of the subject is believed.
    """
    async with _tokens_in(redis_url) as redis:
        records = {str(each["jti"]): each for each in await read_tokens(redis)}
        done = [await _revoke(redis, name, records, longest_s) for name in named]
        if subject is not None:
            await revoke_subject(redis, subject, longest_s)
            done.append(f"All tokens of {plain(subject)} that were made until now are revoked.")
        await asyncio.sleep(_SECOND_S)
    return done


async def _revoke(
    redis: LinkedRedis, name: str, records: Mapping[str, Any], longest_life_s: int
) -> str:
    id_ = _claims_of(name).get("jti") if name.count(".") == 2 else name
    if not isinstance(id_, str) or not id_ or not id_.isprintable():
        raise click.ClickException(
            "The token has no `jti` that can be revoked: revoke all of its subject by --subject."
        )
    # What a token itself says of its end may be forged.
    unknown_s = int(time.time()) + longest_life_s if longest_life_s else FOR_EVER
    claims = records.get(id_, {"exp": unknown_s})
    await revoke_token(redis, id_, int(claims["exp"]))
    if "sub" in claims:
        return f"The token {id_} of {plain(claims['sub'])} is revoked."
    return f"The token {id_} is revoked. No token of this ID is recorded."


def _claims_of(token: str) -> Mapping[str, Any]:
    try:
        return unverified(token)[1]
    except BadToken as error:
        raise click.ClickException(str(error)) from error


def report_on(token: str, values: TokenValues, revoked: Revocations | None) -> dict[str, Any]:
    """What a token says, whether it is believed, and as whom, or why not."""
    try:
        header, claims = unverified(token)
    except BadToken as error:
        raise click.ClickException(str(error)) from error
    report = {"header": header, "claims": claims, "believed": True}
    try:
        return {**report, "tenant": _shown(asyncio.run(_admitted(token, values, revoked)))}
    except ApiError as error:
        return {**report, "believed": False, "why": error.message}


async def _admitted(token: str, values: TokenValues, revoked: Revocations | None) -> Tenant:
    jwks = Jwks(values.jwks_url) if values.jwks_url else None
    return await Authenticator(values, jwks, revoked).admit(f"Bearer {token}")


def _shown(tenant: Tenant) -> dict[str, Any]:
    """A tenant in the words of JSON, without what it does not say."""
    said = {name: value for name, value in asdict(tenant).items() if value not in (None, False)}
    limits = said.pop("limits", None) or {}
    said |= {"limits": {name: value for name, value in limits.items() if value}} if limits else {}
    return {name: _plain(value) for name, value in said.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return sorted(value) if isinstance(value, frozenset) else value


def _is_revoked(claims: Mapping[str, Any], revoked: Revocations) -> bool:
    return revoked.forbid(claims["jti"], claims["sub"], claims.get("iat", 0))


async def _revocations(redis: LinkedRedis) -> Revocations:
    revoked = Revocations()
    await revoked.read(redis)
    if not revoked.is_read:
        raise click.ClickException("The revoked tokens in Redis can't be read.")
    return revoked
