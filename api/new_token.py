"""Makes access tokens (RFC 7519), signed with a secret."""

import secrets
import time
from collections.abc import Mapping
from typing import Any

import jwt

from api.tenant import Tenant
from api.token_keys import HS256


def create_token(
    secret: str,
    tenant: Tenant,
    ttl_s: int,
    audience: str | None = None,
    issuer: str | None = None,
) -> str:
    """A signed token for `tenant` that expires `ttl_s` seconds from now, with a random `jti`."""
    return signed(new_claims(tenant, ttl_s, audience, issuer), secret)


def new_claims(
    tenant: Tenant, ttl_s: int, audience: str | None = None, issuer: str | None = None
) -> dict[str, Any]:
    """The claims of such a token."""
    now = int(time.time())
    claims = {**tenant.claims(), "iat": now, "exp": now + ttl_s, "jti": secrets.token_urlsafe(12)}
    optional = {"aud": audience, "iss": issuer}
    return claims | {name: value for name, value in optional.items() if value is not None}


def signed(claims: Mapping[str, Any], secret: str) -> str:
    """A token of these claims."""
    return jwt.encode(dict(claims), secret, algorithm=HS256)
