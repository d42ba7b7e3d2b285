"""`llamaq dashboard`: prints a link that opens the dashboard."""

import os
from pathlib import Path

import click

from llamaq.dashboard_link import dashboard_link, link_claims
from llamaq.data_dir import beside_up_option, kept_api_url
from llamaq.duration import Duration
from llamaq.environment import is_set, not_valid
from llamaq.greeting import url_here
from llamaq.json_option import json_option, tell
from llamaq.redis_work import REDIS_SETTINGS
from llamaq.signing import believed_here, record_or_say


@click.command(epilog=REDIS_SETTINGS)
@click.option(
    "--ttl", type=Duration(), default="8h", show_default=True, help="How long the link works."
)
@click.option("--url", help="Address of the API for your browser. [default: that on this machine]")
@json_option
@beside_up_option("LLAMAQ_JWT_SECRET and LLAMAQ_REDIS_URL")
def dashboard(ttl: int, url: str | None, for_programs: bool, data_dir: Path) -> None:
    """Print a link that opens the dashboard in a browser.

    It holds a token that shows the data of all tenants, and may drain, resume and cancel. Browsers
    send that part of the link to no server.
    """
    values = believed_here(data_dir)
    url = (url or kept_api_url(data_dir) or _url_in_environment()).rstrip("/")
    if not values.secrets:
        raise click.ClickException(
            "this API has no secret that signs tokens: ask your identity provider for one with the "
            f"scope admin, open {url}/dashboard and paste it there"
        )
    claims = link_claims(min(ttl, values.longest_life_s or ttl), values.audience, values.issuer)
    link = dashboard_link(url, claims, values.secrets[0])
    tell({"url": link}, link, for_programs=for_programs)
    record_or_say(claims, data_dir, "The token of this link")


def _url_in_environment() -> str:
    host, port = os.environ.get("LLAMAQ_HOST", ""), os.environ.get("LLAMAQ_PORT", "")
    if port and not port.isdecimal():
        raise not_valid([("LLAMAQ_PORT", "must be a number")])
    has_tls = is_set("LLAMAQ_TLS_CERT")
    return url_here(host or "127.0.0.1", int(port or 8484), has_tls=has_tls)
