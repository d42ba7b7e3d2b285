"""`llamaq dashboard`: prints a link that opens the dashboard."""

from functools import partial
from pathlib import Path

import click

from api.settings import ApiSettings
from llamaq.dashboard_link import dashboard_link, link_claims
from llamaq.data_dir import BESIDE_UP, data_dir_option, kept_api_url, kept_secret
from llamaq.duration import Duration
from llamaq.greeting import url_here
from llamaq.redis_work import with_redis_url
from llamaq.settings import load


@click.command()
@click.option(
    "--ttl", type=Duration(), default="8h", show_default=True, help="How long the link works."
)
@click.option("--url", help="Where your browser reaches the API; else where it is on this machine.")
@data_dir_option(BESIDE_UP.format("LLAMAQ_JWT_SECRET or LLAMAQ_REDIS_URL"))
def dashboard(ttl: int, url: str | None, data_dir: Path) -> None:
    """Print a link that opens the dashboard in a browser.

    It holds a token that shows what is of all tenants, and may drain, resume and cancel. That is in
    the part of the link that browsers send to no server.
    """
    secret = kept_secret(data_dir)
    settings: ApiSettings = load({ApiSettings: {"jwt_secret": secret}})[ApiSettings]
    has_tls = settings.tls_cert is not None
    here = kept_api_url(data_dir) or url_here(settings.host, settings.port, has_tls=has_tls)
    url = (url or here).rstrip("/")
    signing = settings.jwt_secret.get_secret_value()
    if not signing:
        raise click.ClickException(
            "this API has no secret that signs tokens: ask your identity provider for one with the "
            f"scope admin, open {url}/dashboard and paste it there"
        )
    ttl = min(ttl, settings.jwt_longest_life_s or ttl)
    claims = link_claims(ttl, settings.jwt_audience, settings.jwt_issuer)
    click.echo(dashboard_link(url, claims, signing))
    from llamaq.token_work import record

    try:
        with_redis_url(data_dir, partial(record, claims))
    except click.ClickException as error:
        told = "The link works, but `llamaq token list` will not show its token"
        click.echo(f"{told}: {error.message}", err=True)
