"""`llamaq token`: makes tokens of access."""

from pathlib import Path

import click

from api.claim_values import InvalidClaim
from api.new_token import create_token
from api.settings import ApiSettings
from api.tenant import read_tenant
from dispatcher.tier import Tier
from llamaq.data_dir import BESIDE_UP, data_dir_option, kept_secret
from llamaq.duration import Duration
from llamaq.settings import describe, load


@click.group()
def token() -> None:
    """Tokens of access."""


@token.command(epilog=describe(ApiSettings))
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
@data_dir_option(BESIDE_UP.format("LLAMAQ_JWT_SECRET"))
def create(
    subject: str, ttl: int, weight: float, tier: str, delegate: bool, data_dir: Path
) -> None:
    """Print a new token for SUBJECT, the tenant it stands for."""
    claims = {"sub": subject, "weight": weight, "tier": tier, "delegate": delegate}
    try:
        tenant = read_tenant(claims)
    except InvalidClaim as error:
        raise click.UsageError(f"the token's {error}") from error
    values = {"jwt_secret": kept_secret(data_dir)}
    settings: ApiSettings = load({ApiSettings: values})[ApiSettings]
    key = settings.jwt_secret.get_secret_value()
    click.echo(create_token(key, tenant, ttl, settings.jwt_audience, settings.jwt_issuer))
