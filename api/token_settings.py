"""Which tokens are believed, read from `LLAMAQ_*` environment variables."""

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings

from dispatcher.settings import FROM_ENVIRONMENT

if TYPE_CHECKING:
    from api.groups import Groups
    from api.token_keys import TokenKey

MIN_SECRET_BYTES = 32  # RFC 7518 §3.2: an HS256 key is no shorter than the hash
MOST_SECRETS = 16
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

Name = Annotated[str, Field(min_length=1, max_length=256)]


class LifeSettings(BaseSettings):
    """How long tokens may last."""

    model_config = FROM_ENVIRONMENT

    jwt_longest_life_s: int = Field(
        0,
        ge=0,
        le=10**9,
        description="longest time from a token's `iat` to its `exp`; 0: any time",
    )


class TokenSettings(LifeSettings):
    """Whose tokens are believed, and what they must claim.

    A `ValidationError` names every bad value at once and holds none of them.
    """

    jwt_keys: str = Field(
        "",
        max_length=65536,
        description="PEM files with public keys that verify tokens (RSA: RS256, EC P-256: ES256, "
        "Ed25519: EdDSA), with commas between",
    )
    jwks_url: str = Field(
        "",
        max_length=2048,
        description="https:// address of an identity provider's JSON Web Key Set, whose keys "
        "verify tokens too; http:// only on this machine",
    )
    jwt_secret: SecretStr = Field(
        SecretStr(""),
        validate_default=True,
        description=f"secret that signs tokens (HS256), {MIN_SECRET_BYTES} bytes or more; required "
        "without LLAMAQ_JWT_KEYS and LLAMAQ_JWKS_URL",
    )
    jwt_old_secrets: SecretStr = Field(
        SecretStr(""),
        description="more secrets whose tokens are believed, with commas or line ends between",
    )
    jwt_audience: Name | None = Field(None, description="`aud` that tokens must name")
    jwt_issuer: Name | None = Field(None, description="`iss` that tokens must name")

    groups: str = Field(
        "",
        max_length=65536,
        description="what an identity provider's groups or roles get, as JSON or the path of a "
        ".json or .toml file: tier, weight, models, scopes, limits by the name of the group",
    )

    @property
    def secrets(self) -> list[str]:
        """Those whose tokens are believed; the first one signs, if there is one that does."""
        own = self.jwt_secret.get_secret_value()
        return [own] * bool(own) + _listed(self.jwt_old_secrets.get_secret_value())

    def public_keys(self) -> "list[TokenKey]":
        """Those in the files. Raises `ValueError`."""
        return _read_keys(self.jwt_keys)

    def grants(self) -> "Groups":
        """What groups get. Raises `ValueError`."""
        return _read_groups(self.groups)

    @field_validator("groups")
    @classmethod
    def _are_groups(cls, groups: str) -> str:
        _read_groups(groups)
        return groups

    @field_validator("jwt_keys")
    @classmethod
    def _are_keys(cls, names: str) -> str:
        _read_keys(names)
        return names

    @field_validator("jwks_url")
    @classmethod
    def _is_secure(cls, url: str) -> str:
        parts = urlsplit(url)
        is_near = parts.scheme == "http" and parts.hostname in _LOOPBACK
        if url and not (parts.hostname and (parts.scheme == "https" or is_near)):
            raise ValueError("must be an https:// address, or an http:// one on this machine")
        if parts.username or parts.password:
            raise ValueError("must have no user and no password in it")
        return url

    @field_validator("jwt_old_secrets")
    @classmethod
    def _are_long_enough(cls, secrets: SecretStr) -> SecretStr:
        old = _listed(secrets.get_secret_value())
        for secret in old:
            _check_secret(secret)
        if len(old) > MOST_SECRETS:
            raise ValueError(f"may have {MOST_SECRETS} secrets")
        return secrets

    @field_validator("jwt_secret")
    @classmethod
    def _is_long_enough(cls, secret: SecretStr, info: ValidationInfo) -> SecretStr:
        has_others = info.data.get("jwt_keys", "?") or info.data.get("jwks_url", "?")
        if secret.get_secret_value() or not has_others:
            _check_secret(secret.get_secret_value())
        return secret


def _listed(secrets: str) -> list[str]:
    """Where there is a line end, commas are parts of secrets."""
    parts = secrets.split("\n" if "\n" in secrets else ",")
    return [part.strip() for part in parts if part.strip()]


def _check_secret(secret: str) -> None:
    if len(secret.encode()) < MIN_SECRET_BYTES:
        raise ValueError(
            f"must have {MIN_SECRET_BYTES} bytes or more; make one with: openssl rand -hex 32"
        )
    if "-----BEGIN" in secret or secret.startswith("ssh-"):
        raise ValueError("must be a secret, not a key: public keys belong into LLAMAQ_JWT_KEYS")


def _read_keys(names: str) -> "list[TokenKey]":
    from api.token_keys import BadKey, read_pem  # slow to load, and most have no such keys

    keys = []
    for name in filter(None, map(str.strip, names.split(","))):
        try:
            keys += read_pem(Path(name).expanduser().read_bytes())
        except BadKey as error:
            raise ValueError(f"{name} {error}") from error
        except OSError as error:
            raise ValueError(f"can't read {name}: {error.strerror}") from error
    return keys


def _read_groups(said: str) -> "Groups":
    from api.groups import read_groups

    if not said.strip():
        return {}
    is_text = said.lstrip().startswith(("{", "["))
    try:
        text = said if is_text else Path(said).expanduser().read_text()
        is_toml = not is_text and said.endswith(".toml")
        return read_groups(tomllib.loads(text) if is_toml else json.loads(text))
    except OSError as error:
        raise ValueError(f"can't read {said[:80]}: {error.strerror}") from error
    except (json.JSONDecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"is no JSON or TOML: {error}") from error
