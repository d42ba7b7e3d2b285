"""Who is calling: from the headers of a request to its tenant."""

import time
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import NamedTuple

from api.claim_values import InvalidClaim
from api.errors import ApiError, unavailable
from api.groups import tenant_of
from api.jwks import Jwks
from api.tenant import Tenant
from api.token_check import LEEWAY_S, BadToken, Rules, TokenCheck, UnknownKey
from api.token_keys import secret_key
from api.token_values import TokenValues
from dispatcher.connection import LinkedRedis
from dispatcher.revocations import Revocations

MAX_KNOWN_TOKENS = 1024

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
    `exp`: that saves 40 µs a request. All are forgotten when a token is revoked, or a key leaves.
    """

    def __init__(
        self,
        values: TokenValues,
        jwks: Jwks | None = None,
        revocations: Revocations | None = None,
    ) -> None:
        self.check = token_check(values)
        self._groups = values.groups
        self._jwks = jwks
        if jwks is not None:
            jwks.on_change = self._take_fetched
        self._revocations = revocations or Revocations()
        self._known: dict[bytes, _Known] = {}
        self.look_first: Callable[[], Awaitable[None]] | None = None
        """Has `read_revocations` called before anybody is admitted. None once it was called."""

    async def admit(self, authorization_header: str | None) -> Tenant:
        """As `authenticate`, but looks for a key that is new at the identity provider.

        Raises `ApiError` 503 too, where its keys or the revocations can't be read, and
        `RedisUnavailable`.
        """
        if self.look_first is not None:
            await self.look_first()
            if not self._revocations.is_read:
                raise unavailable(_UNREADABLE, "revocations_unreadable")
        try:
            return self.authenticate(authorization_header)
        except _NewKey:
            if self._jwks is None:
                raise
            await self._jwks.look_again(lambda: not self._needs_new_key(authorization_header))
        try:
            return self.authenticate(authorization_header)
        except _NewKey:
            if self._jwks.is_away:
                raise unavailable(_AWAY, "identity_provider_unavailable") from None
            raise

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

    def _needs_new_key(self, authorization_header: str | None) -> bool:
        try:
            self.authenticate(authorization_header)
        except ApiError as error:
            return isinstance(error, _NewKey)
        return False

    async def read_revocations(self, redis: LinkedRedis) -> None:
        """Looks for tokens that were revoked. Raises `RedisUnavailable`."""
        if await self._revocations.read(redis):
            self._known.clear()
        if self._revocations.is_read:
            self.look_first = None

    def _take_fetched(self) -> None:
        """The identity provider has other keys than before."""
        if self._jwks is not None:
            self.check.fetched = self._jwks.keys
        self._known.clear()

    def _verify(self, token: str) -> _Known:
        try:
            claims, key = self.check.claims(token)
            tenant = tenant_of(claims, self._groups, is_ours=key.is_secret)
        except UnknownKey as error:
            raise _invalid_token(str(error), _NewKey) from error
        except BadToken as error:
            raise _invalid_token(str(error)) from error
        except InvalidClaim as error:
            raise _invalid_token(f"The token's {error}: ask for a new token.") from error
        if self._revocations.forbid(claims.get("jti"), tenant.subject, float(claims.get("iat", 0))):
            raise _invalid_token("The token was revoked: ask for a new one.")
        begins_s, ends_s = int(claims.get("nbf", 0)), int(claims["exp"])
        return _Known(tenant, begins_s - LEEWAY_S, ends_s + LEEWAY_S)


def token_check(values: TokenValues) -> TokenCheck:
    """The check that believes the tokens which these values describe."""
    keys = [*map(secret_key, values.secrets), *values.keys]
    rules = Rules(values.audience, values.issuer, values.longest_life_s)
    return TokenCheck(keys, rules, [] if values.jwks_url else None)


class _NewKey(ApiError):
    """A 401 that may come of a key which is new."""


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


def _invalid_token(message: str, kind: type[ApiError] = ApiError) -> ApiError:
    return _unauthorized(message, challenge='Bearer error="invalid_token"', kind=kind)


def _unauthorized(message: str, *, challenge: str, kind: type[ApiError] = ApiError) -> ApiError:
    # The challenges are those of RFC 6750 §3.
    return kind(
        401,
        message,
        type="invalid_request_error",
        code="invalid_api_key",
        headers={"WWW-Authenticate": challenge},
    )


_AWAY = (
    "The keys of the identity provider can't be read now, so nobody can tell whether the token is "
    "good: try again."
)
_UNREADABLE = (
    "The list of revoked tokens can't be read, so nobody can tell whether the token is good: the "
    "log of the server says why."
)
