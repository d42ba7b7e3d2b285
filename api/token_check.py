"""Reads JSON Web Tokens (RFC 7519), and says why one is not believed."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jwt
from jwt.exceptions import InvalidSubjectError

from api.claim_values import InvalidClaim
from api.token_keys import HS256, PUBLIC, TokenKey, algorithms_of

LEEWAY_S = 30
LATEST_S = 253402300799
_TYPES = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
_NO_CLAIMS = ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")


class BadToken(Exception):
    """A token that is not believed; the message says why, and what to do."""


class UnknownKey(BadToken):
    """A token whose key nobody knows yet. It may be a new one of the identity provider."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a token says of its signature."""

    algorithm: str
    kid: str | None


@dataclass(frozen=True, slots=True)
class Rules:
    """What tokens must claim. `longest_life_s` is 0 where they may last for any time."""

    audience: str | None = None
    issuer: str | None = None
    longest_life_s: int = 0


@dataclass(slots=True)
class TokenCheck:
    """Believes tokens that were signed with one of its keys.

    `fetched` are those of an identity provider, which may have new ones; None without a provider.
    """

    fixed: Sequence[TokenKey]
    rules: Rules = field(default_factory=Rules)
    fetched: Sequence[TokenKey] | None = None

    def claims(self, token: str) -> tuple[dict[str, Any], TokenKey]:
        """The claims of a token, and the key that it was signed with.

        Raises `UnknownKey` or another `BadToken`.
        """
        try:
            key, said = self._signed(token, read_header(token))
            _check_times(said)
            claims = self._whole(token, key)
            self._check_life(claims)
        except jwt.ExpiredSignatureError as error:
            when = datetime.fromtimestamp(int(said["exp"]), UTC)
            text = f"The token expired at {when:%Y-%m-%d %H:%M:%S} UTC: ask for a new one."
            raise BadToken(text) from error
        except jwt.PyJWTError as error:
            raise BadToken(self._advice(error)) from error
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            if isinstance(error, InvalidClaim):
                raise BadToken(f"The token's {error}: ask for a new token.") from error
            raise BadToken(_ADVICE[jwt.PyJWTError]) from error
        return claims, key

    def _signed(self, token: str, header: Header) -> tuple[TokenKey, dict[str, Any]]:
        """The key that has signed a token, and what it claims.

        The header is not trusted: it only narrows the search.
        """
        known = [*self.fixed, *(self.fetched or ())]
        for key in known:
            if key.algorithm == header.algorithm and key.is_named(header.kid):
                with suppress(jwt.InvalidSignatureError):
                    return key, _decoded(token, key)
        if self._may_be_new(header):
            raise UnknownKey(
                "The token was signed with a key that this server does not know, nor its identity "
                "provider (LLAMAQ_JWKS_URL): ask for a new token."
            )
        if header.algorithm not in algorithms_of(known):
            names = " or ".join(algorithms_of(known)) or "a key that this server knows"
            raise BadToken(f"The token must be signed with {names}: ask for a new one.")
        kind = "secret" if header.algorithm == HS256 else "key"
        raise BadToken(f"The token was signed with another {kind}: ask for a new token.")

    def _may_be_new(self, header: Header) -> bool:
        if self.fetched is None or header.algorithm not in PUBLIC:
            return False
        return header.kid is None or header.kid not in {key.kid for key in self.fetched}

    def _whole(self, token: str, key: TokenKey) -> dict[str, Any]:
        return jwt.decode(
            token,
            key.key,
            algorithms=[key.algorithm],
            audience=self.rules.audience,
            issuer=self.rules.issuer,
            leeway=LEEWAY_S,
            options={"require": ["exp", "sub"]},
        )

    def _check_life(self, claims: dict[str, Any]) -> None:
        longest_s = self.rules.longest_life_s
        if not longest_s:
            return
        if "iat" not in claims:
            raise jwt.MissingRequiredClaimError("iat")
        if int(claims["exp"]) - int(claims["iat"]) > longest_s:
            raise BadToken(
                f"The token lasts for longer than this server allows ({longest_s} s from `iat` to "
                "`exp`): ask for a shorter one."
            )

    def _advice(self, error: jwt.PyJWTError) -> str:
        if isinstance(error, jwt.MissingRequiredClaimError):
            return f"The token has no `{error.claim}` claim: ask for a token that has one."
        if isinstance(error, jwt.InvalidAudienceError):
            return self._audience_advice()
        return next(text for kind, text in _ADVICE.items() if isinstance(error, kind))

    def _audience_advice(self) -> str:
        if self.rules.audience is None:
            return (
                "The token is for another audience: this server has none, so ask for a token "
                "without `aud`, or have LLAMAQ_JWT_AUDIENCE set."
            )
        return f"The token is for another audience: its `aud` must name {self.rules.audience!r}."


def read_header(token: str) -> Header:
    """The header of a token. Nothing of it is believed. Raises `BadToken` or `jwt.PyJWTError`."""
    said = jwt.get_unverified_header(token)
    algorithm, kind = said.get("alg"), said.get("typ", "JWT")
    if "crit" in said or "b64" in said:  # RFC 7515 §4.1.11: what is not understood is refused
        raise BadToken("The token's header asks for an extension (`crit`): ask for one without.")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:  # RFC 8725 §3.11
        raise BadToken("The token is not for access: its `typ` must be JWT or at+jwt.")
    return Header(algorithm if isinstance(algorithm, str) else "", said.get("kid"))


def unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a token says in its header and of its claims, whoever made it. Raises `BadToken`."""
    try:
        said = jwt.decode_complete(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise BadToken(_ADVICE[jwt.DecodeError]) from error
    return said["header"], said["payload"]


def _decoded(token: str, key: TokenKey) -> dict[str, Any]:
    """The claims of a token with this key's signature; none of them is checked."""
    unchecked: Any = {f"verify_{name}": False for name in _NO_CLAIMS}
    return jwt.decode(token, key.key, algorithms=[key.algorithm], options=unchecked)


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


# The first that fits counts, so special kinds come before general ones.
_ADVICE: dict[type[jwt.PyJWTError], str] = {
    jwt.InvalidIssuerError: "The token is from another issuer than this server trusts (`iss`).",
    jwt.ImmatureSignatureError: "The token is not valid yet (`nbf`): check both clocks.",
    jwt.InvalidIssuedAtError: "The token's `iat` is not a number: ask for a new token.",
    InvalidSubjectError: "The token's `sub` must be a string: ask for a new token.",
    jwt.DecodeError: "The token is not a JSON Web Token: send the one you were given, unchanged.",
    jwt.PyJWTError: "The token is not valid: ask for a new one.",
}
