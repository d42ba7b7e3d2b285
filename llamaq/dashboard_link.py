"""The link to the dashboard, with a token of its own. Pure."""

from collections.abc import Mapping
from typing import Any

from api.new_token import new_claims, signed
from api.scopes import ADMIN, CHAT, MODELS
from api.tenant import Tenant

LINK_S = 3600
"""How long the link of `llamaq up` works."""
SUBJECT = "dashboard"
"""The tenant whose usage chats from the dashboard are."""


def link_claims(
    ttl_s: int, audience: str | None = None, issuer: str | None = None
) -> Mapping[str, Any]:
    """Those of the token: it shows and orders all, and may chat."""
    tenant = Tenant(SUBJECT, scopes=frozenset({ADMIN, CHAT, MODELS}))
    return new_claims(tenant, ttl_s, audience, issuer)


def dashboard_link(url: str, claims: Mapping[str, Any], secret: str) -> str:
    """The link to the dashboard of the API at `url`. Browsers send no server the part after #.

    >>> dashboard_link("http://h:1", {"sub": "a"}, "x" * 32).partition(".")[0][:30]
    'http://h:1/dashboard#token=eyJ'
    """
    return f"{url}/dashboard#token={signed(claims, secret)}"
