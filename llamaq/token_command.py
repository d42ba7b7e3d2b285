"""`llamaq token`: makes access tokens, tells of them, and revokes them."""

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from api.claim_values import InvalidClaim
from api.new_token import new_claims, signed
from api.scopes import SCOPES
from api.tenant import Tenant, read_tenant
from api.token_values import ABOUT, read_longest_life
from dispatcher.tier import Tier
from llamaq.data_dir import beside_up_option, kept_secret
from llamaq.duration import Duration
from llamaq.environment import described, not_valid
from llamaq.json_option import json_option, tell
from llamaq.redis_work import REDIS_SETTINGS, with_redis_url
from llamaq.signing import believed_here, believed_with, record_or_say
from llamaq.token_text import in_lines, in_table

_DATA_DIR = beside_up_option("LLAMAQ_JWT_SECRET and LLAMAQ_REDIS_URL")
_STDIN = "-"
_TOKEN_SETTINGS = described(
    (f"LLAMAQ_{name.upper()}", text) for name, text in sorted(ABOUT.items())
)


class _Names(click.ParamType[list[str]]):
    """Names with commas between."""

    name = "names"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[str]:
        if isinstance(value, list):
            return value
        return [name.strip() for name in str(value).split(",") if name.strip()]


@click.group()
def token() -> None:
    """Make, inspect and revoke access tokens."""


@token.command(epilog=_TOKEN_SETTINGS)
@click.argument("subject")
@click.option("--ttl", type=Duration(), default="90d", show_default=True, help="How long it lasts.")
@click.option(
    "--weight",
    type=float,
    default=1,
    show_default=True,
    help="Its part of a busy model: 2 gets twice as many tokens as 1. From 0.001 to 1000.",
)
@click.option(
    "--tier",
    type=click.Choice([tier.value for tier in Tier]),
    default=Tier.DEFAULT.value,
    show_default=True,
    help="The most urgent service tier it may use, and the one that it uses unless it asks.",
)
@click.option(
    "--delegate",
    is_flag=True,
    help="It speaks for end users, each with a turn of their own (Open WebUI and the like).",
)
@click.option(
    "--models", type=_Names(), help="The models that it may use, with commas between: else all."
)
@click.option(
    "--scopes",
    type=_Names(),
    help=f"What it may be used for, of {', '.join(SCOPES)}, with commas between: else all but "
    "admin and metrics. Most clients need models beside what they are for.",
)
@json_option
@_DATA_DIR
def create(subject: str, ttl: int, for_programs: bool, data_dir: Path, **claims: Any) -> None:
    """Print a new token for SUBJECT, the tenant it stands for."""
    tenant = _tenant({"sub": subject} | {k: v for k, v in claims.items() if v is not None})
    values = believed_with(kept_secret(data_dir))
    longest_s = values.longest_life_s
    if longest_s and ttl > longest_s:
        raise click.UsageError(f"LLAMAQ_JWT_LONGEST_LIFE_S allows {longest_s} s: give less --ttl")
    if not values.secrets:
        raise click.UsageError("set LLAMAQ_JWT_SECRET: tokens of other keys are made elsewhere")
    new = new_claims(tenant, ttl, values.audience, values.issuer)
    made = signed(new, values.secrets[0])
    tell({"token": made, "claims": new}, made, for_programs=for_programs)
    record_or_say(new, data_dir)


@token.command()
@click.argument("token", default=_STDIN)
@json_option
@_DATA_DIR
def inspect(token: str, for_programs: bool, data_dir: Path) -> None:
    """Print what TOKEN claims, whether it is believed, and why not.

    Without TOKEN it is read from standard input, which keeps it out of the shell's history. The
    exit status is 0 for a token that is believed.
    """
    from llamaq.token_work import report_on, revoked_in

    text = _from_stdin() if token == _STDIN else token.strip()
    values = believed_here(data_dir)
    try:
        with_redis = with_redis_url(data_dir, revoked_in)
    except click.ClickException as error:
        with_redis = None
        click.echo(f"Whether it was revoked is not known: {error.message}", err=True)
    report = report_on(text, values, with_redis)
    tell(report, in_lines(report), for_programs=for_programs)
    if not report["believed"]:
        sys.exit(1)


@token.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--subject", help="Revoke all tokens of this subject that were made until now.")
@json_option
@_DATA_DIR
def revoke(ids: Sequence[str], subject: str | None, for_programs: bool, data_dir: Path) -> None:
    """Revoke the tokens with these IDs, on every API within a second.

    An ID is the `jti` of a token: `llamaq token list` shows it. For the ID - a token is read from
    standard input. Running answers go on.
    """
    from llamaq.token_work import revoke_all

    if not ids and subject is None:
        raise click.UsageError("name the ID of a token, or a --subject")
    if subject is not None:
        _tenant({"sub": subject})
    named = [_from_stdin() if id_ == _STDIN else id_ for id_ in ids]
    done = with_redis_url(data_dir, partial(revoke_all, named, subject, _longest_life_s()))
    tell({"subject": subject, "done": done}, "\n".join(done), for_programs=for_programs)


@token.command("list", epilog=REDIS_SETTINGS)
@json_option
@_DATA_DIR
def list_(for_programs: bool, data_dir: Path) -> None:
    """Show the tokens that `llamaq token create` has made and that have not ended.

    Those of an identity provider are not among them.
    """
    from llamaq.token_work import list_all

    records = with_redis_url(data_dir, list_all)
    tell(records, in_table(records), for_programs=for_programs)


def _tenant(claims: dict[str, Any]) -> Tenant:
    unknown = sorted(set(claims.get("scopes", ())) - set(SCOPES))
    if unknown:
        raise click.UsageError(f"there is no scope {unknown[0]!r}: there are {', '.join(SCOPES)}")
    try:
        return read_tenant(claims)
    except InvalidClaim as error:
        raise click.UsageError(f"a token's {error}") from error


def _longest_life_s() -> int:
    name = "LLAMAQ_JWT_LONGEST_LIFE_S"
    try:
        return read_longest_life(os.environ.get(name, ""))
    except ValueError as error:
        raise not_valid([(name, str(error))]) from None


def _from_stdin() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Token", hide_input=True, err=True)).strip()
    return sys.stdin.read().strip()
