"""`llamaq doctor`: gathers the facts that are to be judged, and shows the findings."""

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import click

from api.token_values import BadValues, TokenValues, values_in
from dispatcher.protocol import PROTOCOL
from dispatcher.row import printable
from llamaq.data_dir import kept_redis_url, kept_secret
from llamaq.doctor_facts import Facts, QueueLook, RedisLook, TokenRecord, TokensLook
from llamaq.doctor_look import Looks, look_at_redis
from llamaq.doctor_machine import look_at_disk, look_at_ports, look_at_servers
from llamaq.finding import Finding
from llamaq.redis_work import redis_url_in_environment

_WIDTH = 8
_NO_KEYS = "there is nothing here to verify it with: try it on the machine of the API"


def gather(data_dir: Path, api_port: int, token: str) -> Facts:
    """Everything that can be found out from here; `token` is one to be judged, or empty."""
    found: Looks
    try:
        url = kept_redis_url(data_dir) or redis_url_in_environment()
    except click.ClickException as error:
        url, found = "", (RedisLook("no address", error.message), QueueLook(), [])
    else:
        found = asyncio.run(look_at_redis(url))
    look, queue, records = found
    return Facts(
        version=version("llamaq"),
        protocol=PROTOCOL,
        redis=look,
        queue=queue,
        own_servers=look_at_servers(queue.models),
        tokens=_tokens(data_dir, records, token, "" if look.problem else url),
        disk=look_at_disk(data_dir),
        ports=look_at_ports(data_dir, api_port),
    )


def as_text(found: Sequence[Finding]) -> str:
    """One line for each finding, and one for what to do."""
    width = max(len(each.area) for each in found)
    lines = []
    for each in found:
        lines.append(f"{each.state:{_WIDTH}} {each.area:{width}}  {printable(each.what)}")
        if each.advice:
            lines.append(f"{'':{_WIDTH}} {'':{width}}  → {printable(each.advice)}")
    return "\n".join(lines)


def as_json(found: Sequence[Finding]) -> str:
    """The findings for programs."""
    return json.dumps([asdict(each) for each in found], indent=2)


def _tokens(
    data_dir: Path, records: Sequence[TokenRecord], token: str, redis_url: str
) -> TokensLook:
    look = TokensLook(records=records)
    try:
        secret = kept_secret(data_dir)
    except click.ClickException:
        secret = None
    names = ("LLAMAQ_JWT_SECRET", "LLAMAQ_JWT_KEYS", "LLAMAQ_JWKS_URL")
    if not secret and not any(os.environ.get(name) for name in names):
        return replace(look, was_given=bool(token), refusal=_NO_KEYS if token else "")
    look = replace(look, has_keys=True)
    try:
        values = values_in(os.environ, secret)
    except BadValues as error:
        problem = "; ".join(f"{name} {reason}" for name, reason in error.problems)
        return replace(look, problem=problem)
    if not token:
        return look
    return replace(look, was_given=True, refusal=_refusal(token, values, redis_url))


def _refusal(token: str, values: TokenValues, redis_url: str) -> str:
    """Why this token is not believed; "" if it is."""
    from llamaq.token_work import report_on, revoked_in

    try:
        revoked = asyncio.run(revoked_in(redis_url)) if redis_url else None
        return str(report_on(token, values, revoked).get("why", ""))
    except click.ClickException as error:
        return error.message
