"""Who is calling: reads and makes JSON Web Tokens (RFC 7519). Only this module imports `jwt`."""

import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple

import jwt
from jwt.exceptions import InvalidSubjectError

from api.claim_values import InvalidClaim
from api.errors import ApiError
from api.settings import ApiSettings
from api.tenant import Tenant, read_tenant

ALGORITHM = "HS256"  # never taken from the token (RFC 8725 §3.1)
LEEWAY_S = 30
MAX_KNOWN_TOKENS = 1024
LATEST_S = 253402300799


CREDENTIALS = ("authorization", "x-api-key")
"""The headers that may carry a token, in lower case: OpenAI's, and Anthropic's."""


def credentials(headers: Mapping[str, str]) -> str:
    """What stands for the `Authorization` header of a request; "" where it names nobody.

    >>> credentials({"x-api-key": "token"}), credentials({"authorization": "Bearer a"})
    ('Bearer token', 'Bearer a')
    """
    bearer = headers.get("authorization", "")
    if bearer:
        return bearer
    key = headers.get("x-api-key", "").strip()
    return f"Bearer {key}" if key else ""


class _Known(NamedTuple):
    """A tenant, and the times between which its token is valid, as Unix seconds."""

    tenant: Tenant
    begins_s: int
    ends_s: int


class Authenticator:
    """Turns an `Authorization` header into the tenant it speaks for.

    A header whose token was verified is known by its hash, and believed from its `nbf` to its
    `exp`: that saves 40 µs a request.
    """

    def __init__(self, settings: ApiSettings) -> None:
        self._key = settings.jwt_secret.get_secret_value()
        self._audience = settings.jwt_audience
        self._issuer = settings.jwt_issuer
        self._known: dict[bytes, _Known] = {}

    def authenticate(self, authorization_header: str | None) -> Tenant:
        """The tenant, or an `ApiError` 401 whose message says what to do."""
        header = authorization_header or ""
        name = sha256(header.encode()).digest()
        known = self._known.get(name)
        if known is None or not known.begins_s <= time.time() < known.ends_s:
            known = self._verify(_bearer_token(header))
            if len(self._known) >= MAX_KNOWN_TOKENS:
                self._known.clear()
            self._known[name] = known
        return known.tenant

    def _verify(self, token: str) -> "_Known":
        try:
            _check_times(self._claims(token, is_whole=False))
            claims = self._claims(token)
            tenant = read_tenant(claims)
        except jwt.PyJWTError as error:
            raise _invalid_token(self._advice(token, error)) from error
        except (TypeError, OverflowError, RecursionError) as error:
            raise _invalid_token(ADVICE[jwt.PyJWTError]) from error
        except InvalidClaim as error:
            raise _invalid_token(f"The token's {error}: ask for a new token.") from error
        begins_s, ends_s = int(claims.get("nbf", 0)), int(claims["exp"])
        return _Known(tenant, begins_s - LEEWAY_S, ends_s + LEEWAY_S)

    def _claims(self, token: str, *, is_whole: bool = True) -> dict[str, Any]:
        """The claims of a token with our signature; with `is_whole` they are checked as well."""
        checks = ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")
        options: Any = {f"verify_{name}": is_whole for name in checks}
        return jwt.decode(
            token,
            self._key,
            algorithms=[ALGORITHM],
            audience=self._audience,
            issuer=self._issuer,
            leeway=LEEWAY_S,
            options=options | {"require": ["exp", "sub"] if is_whole else []},
        )

    def _advice(self, token: str, error: jwt.PyJWTError) -> str:
        if isinstance(error, jwt.ExpiredSignatureError):
            expired_at = self._claims(token, is_whole=False)["exp"]
            when = datetime.fromtimestamp(int(expired_at), UTC)
            return f"The token expired at {when:%Y-%m-%d %H:%M:%S} UTC: ask for a new one."
        if isinstance(error, jwt.MissingRequiredClaimError):
            return f"The token has no `{error.claim}` claim: ask for a token that has one."
        if isinstance(error, jwt.InvalidAudienceError):
            return self._audience_advice()
        return next(text for kind, text in ADVICE.items() if isinstance(error, kind))

    def _audience_advice(self) -> str:
        if self._audience is None:
            return (
                "The token is for another audience: this server has none, so ask for a token "
                "without `aud`, or have LLAMAQ_JWT_AUDIENCE set."
            )
        return f"The token is for another audience: its `aud` must name {self._audience!r}."


def _check_times(claims: dict[str, Any]) -> None:
    """Raises `InvalidClaim` for a time that is none, or that no calendar has."""
    for name in ("exp", "nbf", "iat"):
        value = claims.get(name, 0)
        try:
            is_time = not isinstance(value, bool) and 0 <= int(value) <= LATEST_S
        except (TypeError, ValueError, OverflowError):
            is_time = False
        if not is_time:
            raise InvalidClaim(f"`{name}` must be a time in seconds since 1970, before year 10000")


# The first that fits: kinds before the more general ones they belong to.
ADVICE: dict[type[jwt.PyJWTError], str] = {
    jwt.InvalidIssuerError: "The token is from another issuer than this server trusts (`iss`).",
    jwt.ImmatureSignatureError: "The token is not valid yet (`nbf`): check both clocks.",
    jwt.InvalidIssuedAtError: "The token's `iat` is not a number: ask for a new token.",
    InvalidSubjectError: "The token's `sub` must be a string: ask for a new token.",
    jwt.InvalidAlgorithmError: f"The token must be signed with {ALGORITHM}: ask for a new one.",
    jwt.InvalidSignatureError: "The token was signed with another secret: ask for a new token.",
    jwt.DecodeError: "The token is not a JSON Web Token: send the one you were given, unchanged.",
    jwt.PyJWTError: "The token is not valid: ask for a new one.",
}


def create_token(
    secret: str,
    tenant: Tenant,
    ttl_s: int,
    audience: str | None = None,
    issuer: str | None = None,
) -> str:
    """A signed token for `tenant` that expires `ttl_s` seconds from now, with a random `jti`."""
    now = int(time.time())
    claims = {**tenant.claims(), "iat": now, "exp": now + ttl_s, "jti": secrets.token_urlsafe(12)}
    optional = {"aud": audience, "iss": issuer}
    claims |= {name: value for name, value in optional.items() if value is not None}
    return jwt.encode(claims, secret, algorithm=ALGORITHM)


def _bearer_token(header: str) -> str:
    if not header.strip():
        raise _unauthorized(
            "Send your token as `Authorization: Bearer <token>` or as `x-api-key` (in a client: "
            "`api_key`); "
            "make one with: llamaq token create NAME",
            challenge="Bearer",
        )
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _unauthorized(
            "The Authorization header must have the form `Bearer <token>`.", challenge="Bearer"
        )
    return token.strip()


def _invalid_token(message: str) -> ApiError:
    return _unauthorized(message, challenge='Bearer error="invalid_token"')


def _unauthorized(message: str, *, challenge: str) -> ApiError:
    # The challenges are those of RFC 6750 §3.
    return ApiError(
        401,
        message,
        type="invalid_request_error",
        code="invalid_api_key",
        headers={"WWW-Authenticate": challenge},
    )
