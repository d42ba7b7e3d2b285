"""The terms on which a request waits: its end user, its tier, and what it supersedes. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.errors import bad_request
from api.tenant import Tenant
from dispatcher.tier import Tier

USER_HEADER = "X-OpenWebUI-User-Id"
SUPERSEDE_HEADER = "x-llamaq-supersede"
MAX_USER_CHARS = 256
MAX_KEY_CHARS = 128
_AUTO = "auto"
_FAST = "fast"  # as Anthropic's clients and Codex call the most urgent one
_TIERS = list(Tier)


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of one request. `user` is "" where it names no end user.

    `supersedes` is the key whose queued request it replaces, "" for none. `ignored` are the fields
    that have no effect.
    """

    user: str = ""
    tier: Tier = Tier.DEFAULT
    supersedes: str = ""
    ignored: Sequence[str] = ()

    def key_of(self, choice: int) -> str:
        """The key of one choice: those of one request don't replace each other.

        >>> Terms(supersedes="tab-7").key_of(1), Terms().key_of(1)
        ('1:tab-7', '')
        """
        return f"{choice}:{self.supersedes}" if self.supersedes else ""


def read_terms(tenant: Tenant, headers: Mapping[str, str], fields: Mapping[str, Any]) -> Terms:
    """The terms of a tenant's request, or an `ApiError` 400 that says what to do.

    The names in `headers` are in lower case. `fields` are those of the request that are not null.
    """
    ignored: tuple[str, ...] = ("user",) if "user" in fields and not tenant.delegate else ()
    tier = fields.get("service_tier", _AUTO)
    tier = Tier.PRIORITY if tier == _FAST else tier
    if tier != _AUTO and tier not in _TIERS:
        ignored += ("service_tier",)
        tier = _AUTO
    return Terms(
        user=_user(headers, fields) if tenant.delegate else "",
        tier=tenant.tier if tier == _AUTO else Tier(tier).capped(tenant.tier),
        supersedes=_key(headers),
        ignored=ignored,
    )


def _user(headers: Mapping[str, str], fields: Mapping[str, Any]) -> str:
    named = headers.get(USER_HEADER.lower(), "").strip()
    user = named or fields.get("user", "")
    if isinstance(user, Mapping):
        user = user.get("id")  # Open WebUI's, which has a name and more beside it
    if isinstance(user, str) and len(user) <= MAX_USER_CHARS:
        return user
    where = USER_HEADER if named else "user"
    raise bad_request(
        f"`{where}` must be a string of up to {MAX_USER_CHARS} characters, or an object with such "
        "an `id`: send a shorter id of the end user, or none.",
        param=where,
    )


def _key(headers: Mapping[str, str]) -> str:
    key = headers.get(SUPERSEDE_HEADER)
    if key is None:
        return ""
    if not 0 < len(key) <= MAX_KEY_CHARS or not (key.isascii() and key.isprintable()):
        raise bad_request(
            f"`{SUPERSEDE_HEADER}` must have 1 to {MAX_KEY_CHARS} printable ASCII characters: send "
            "a key such as the id of the chat, or leave the header out.",
            param=SUPERSEDE_HEADER,
        )
    return key
