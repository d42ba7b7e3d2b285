"""What a token may be used for: groups of endpoints. Pure."""

from collections.abc import Mapping
from typing import Any

from api.claim_values import InvalidClaim
from api.errors import ApiError

CHAT = "chat"
EMBEDDINGS = "embeddings"
AUDIO = "audio"
TOKENIZE = "tokenize"
MODELS = "models"
USAGE = "usage"
ADMIN = "admin"
METRICS = "metrics"

SCOPES: Mapping[str, str] = {
    CHAT: "chats, responses, messages, completions, infill, and counts of their tokens",
    EMBEDDINGS: "embeddings and rankings",
    AUDIO: "transcriptions",
    TOKENIZE: "/tokenize, /detokenize and /apply-template",
    MODELS: "/v1/models",
    USAGE: "what the token's own tenant has used",
    ADMIN: "the data of all tenants",
    METRICS: "/metrics",
}
"""All of them, and what each is for. Only tokens that name them have the last two."""

USUAL = frozenset(SCOPES) - {ADMIN, METRICS}
"""Those of a token that names none."""

# Of OpenID Connect and identity providers: they say nothing of what a token may be used for.
_OF_LOGINS = frozenset(
    {
        *("openid", "profile", "email", "address", "phone", "offline_access"),
        *("roles", "groups", "basic", "acr", "web-origins", "microprofile-jwt"),
        *("organization", "service_account"),
    }
)


def read_scopes(claims: Mapping[str, Any]) -> frozenset[str] | None:
    """The scopes that the claims `scopes` and `scope` name; None where they say nothing of it.

    Words that are not in `SCOPES` are for other APIs, and allow nothing. Raises `InvalidClaim`.
    """
    found = [words for words in (_listed(claims), _of_oauth(claims)) if words is not None]
    return frozenset(SCOPES).intersection(*found) if found else None


def _listed(claims: Mapping[str, Any]) -> frozenset[str] | None:
    if "scopes" not in claims:
        return None
    words = claims["scopes"]
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise InvalidClaim(f"`scopes` must be a list of words, of {', '.join(SCOPES)}")
    return frozenset(words)


def _of_oauth(claims: Mapping[str, Any]) -> frozenset[str] | None:
    """Those of RFC 8693 §4.2. A provider that was asked only for a login says nothing of ours."""
    words = claims.get("scope", "")
    if not isinstance(words, str):
        raise InvalidClaim("`scope` must be a string of words with blanks between")
    return frozenset(words.split()) - _OF_LOGINS or None


def check_scope(scopes: frozenset[str] | None, scope: str) -> None:
    """Raises `ApiError` 403 where a token of these scopes may not be used for this one."""
    if scope in (USUAL if scopes is None else scopes):
        return
    has = ", ".join(sorted(USUAL if scopes is None else scopes)) or "none"
    raise ApiError(
        403,
        f"The token may not be used for {SCOPES[scope]}: that needs the scope `{scope}`, and its "
        f"scopes are: {has}. Ask for a token that has it.",
        type="permission_error",
        code="scope_not_allowed",
        headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
    )
