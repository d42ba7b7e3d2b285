"""Whose tokens are believed, as the environment tells it. Loads no pydantic."""

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from api.groups import Groups
    from api.token_keys import TokenKey

MIN_SECRET_BYTES = 32  # RFC 7518 §3.2: an HS256 key is no shorter than the hash
MOST_SECRETS = 16
LONGEST_LIFE_S = 10**9
LONGEST_NAME = 256
LONGEST_TEXT = 65536
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

ABOUT: Mapping[str, str] = {
    "jwt_longest_life_s": "longest time from a token's `iat` to its `exp`; 0: any time",
    "jwt_keys": "PEM files with public keys that verify tokens (RSA: RS256, EC P-256: ES256, "
    "Ed25519: EdDSA), with commas between",
    "jwks_url": "https:// address of an identity provider's JSON Web Key Set, whose keys "
    "verify tokens too; http:// only on this machine",
    "jwt_secret": f"secret that signs tokens (HS256), {MIN_SECRET_BYTES} bytes or more; required "
    "without LLAMAQ_JWT_KEYS and LLAMAQ_JWKS_URL",
    "jwt_old_secrets": "more secrets whose tokens are believed, with commas or line ends between",
    "jwt_audience": "`aud` that tokens must name",
    "jwt_issuer": "`iss` that tokens must name",
    "groups": "what an identity provider's groups or roles get, as JSON or the path of a "
    ".json or .toml file: tier, weight, models, scopes, limits by the name of the group",
}
"""What each setting is."""


@dataclass(frozen=True, slots=True)
class TokenValues:
    """Whose tokens are believed, and what they must claim. The first of the `secrets` signs."""

    secrets: Sequence[str] = field(default=(), repr=False)
    keys: "Sequence[TokenKey]" = ()
    jwks_url: str = ""
    audience: str | None = None
    issuer: str | None = None
    longest_life_s: int = 0
    groups: "Groups" = field(default_factory=dict)


class BadValues(Exception):
    """Variables of the environment that are not valid: the `problems` are their names and why."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__(str(problems))
        self.problems = problems


def values_in(environment: Mapping[str, str], secret: str | None = None) -> TokenValues:
    """What the variables tell; `secret` goes before the environment's. Raises `BadValues`."""
    found: dict[str, Any] = {}
    problems: list[tuple[str, str]] = []
    given = {"jwt_secret": secret} if secret else {}
    for name, read in _READERS.items():
        variable = f"LLAMAQ_{name.upper()}"
        try:
            found[name] = read(given.get(name) or environment.get(variable, ""))
        except ValueError as error:
            problems.append((variable, str(error)))
    if not problems and not any(found[name] for name in ("jwt_secret", "jwt_keys", "jwks_url")):
        problems.append(("LLAMAQ_JWT_SECRET", _too_short()))
    if problems:
        raise BadValues(problems)
    own = [found["jwt_secret"]] if found["jwt_secret"] else []
    return TokenValues(
        secrets=[*own, *found["jwt_old_secrets"]],
        keys=found["jwt_keys"],
        jwks_url=found["jwks_url"],
        audience=found["jwt_audience"] or None,
        issuer=found["jwt_issuer"] or None,
        longest_life_s=found["jwt_longest_life_s"],
        groups=found["groups"],
    )


def read_longest_life(said: str) -> int:
    """Seconds. Raises `ValueError`, as all here do."""
    if not said:
        return 0
    if not said.strip().isdecimal() or int(said) > LONGEST_LIFE_S:
        raise ValueError(f"must be a whole number from 0 to {LONGEST_LIFE_S}")
    return int(said)


def read_name(said: str) -> str:
    """An audience or an issuer."""
    if len(said) > LONGEST_NAME:
        raise ValueError(f"must have {LONGEST_NAME} characters or fewer")
    return said


def read_jwks_url(url: str) -> str:
    """The address of an identity provider's keys."""
    parts = urlsplit(url)
    is_near = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if url and not (parts.hostname and (parts.scheme == "https" or is_near)):
        raise ValueError("must be an https:// address, or an http:// one on this machine")
    if parts.username or parts.password:
        raise ValueError("must have no user and no password in it")
    return url


def read_old_secrets(said: str) -> list[str]:
    """Secrets whose tokens are believed. If line ends separate them, they may have commas."""
    parts = said.split("\n" if "\n" in said else ",")
    old = [read_secret(part.strip()) for part in parts if part.strip()]
    if len(old) > MOST_SECRETS:
        raise ValueError(f"may have {MOST_SECRETS} secrets")
    return old


def read_secret(secret: str) -> str:
    """One that is long enough; "" where there is none."""
    if secret and len(secret.encode()) < MIN_SECRET_BYTES:
        raise ValueError(_too_short())
    if "-----BEGIN" in secret or secret.startswith("ssh-"):
        raise ValueError("must be a secret, not a key: public keys belong in LLAMAQ_JWT_KEYS")
    return secret


def required_secret(secret: str) -> str:
    """The same where there must be one."""
    if not secret:
        raise ValueError(_too_short())
    return read_secret(secret)


def _too_short() -> str:
    return f"must have {MIN_SECRET_BYTES} bytes or more; make one with: openssl rand -hex 32"


def read_keys(names: str) -> "list[TokenKey]":
    """The keys in these files."""
    files = list(filter(None, map(str.strip, names.split(","))))
    if not files:
        return []
    from api.token_keys import BadKey, read_pem  # slow to load, and most have no such keys

    keys = []
    for name in files:
        try:
            keys += read_pem(Path(name).expanduser().read_bytes())
        except BadKey as error:
            raise ValueError(f"{name} {error}") from error
        except OSError as error:
            raise ValueError(f"can't read {name}: {error.strerror}") from error
    return keys


def read_groups(said: str) -> "Groups":
    """What groups get."""
    if not said.strip():
        return {}
    from api.groups import read_groups as read

    is_text = said.lstrip().startswith(("{", "["))
    try:
        text = said if is_text else Path(said).expanduser().read_text()
        is_toml = not is_text and said.endswith(".toml")
        return read(tomllib.loads(text) if is_toml else json.loads(text))
    except OSError as error:
        raise ValueError(f"can't read {said[:80]}: {error.strerror}") from error
    except (json.JSONDecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"is no JSON or TOML: {error}") from error


_READERS: Mapping[str, Callable[[str], Any]] = {
    "jwt_longest_life_s": read_longest_life,
    "jwt_keys": read_keys,
    "jwks_url": read_jwks_url,
    "jwt_secret": read_secret,
    "jwt_old_secrets": read_old_secrets,
    "jwt_audience": read_name,
    "jwt_issuer": read_name,
    "groups": read_groups,
}
