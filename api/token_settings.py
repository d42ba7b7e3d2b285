"""Which tokens are believed, read from `LLAMAQ_*` environment variables."""

from typing import Annotated

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings

from api.token_values import (
    ABOUT,
    LONGEST_LIFE_S,
    LONGEST_NAME,
    LONGEST_TEXT,
    TokenValues,
    read_groups,
    read_jwks_url,
    read_keys,
    read_old_secrets,
    read_secret,
    required_secret,
)
from dispatcher.settings import FROM_ENVIRONMENT

Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


class TokenSettings(BaseSettings):
    """Whose tokens are believed, and what they must claim.

    A `ValidationError` names every bad value at once and holds none of them.
    """

    model_config = FROM_ENVIRONMENT

    jwt_longest_life_s: int = Field(
        0, ge=0, le=LONGEST_LIFE_S, description=ABOUT["jwt_longest_life_s"]
    )
    jwt_keys: str = Field("", max_length=LONGEST_TEXT, description=ABOUT["jwt_keys"])
    jwks_url: str = Field("", max_length=2048, description=ABOUT["jwks_url"])
    jwt_secret: SecretStr = Field(
        SecretStr(""), validate_default=True, description=ABOUT["jwt_secret"]
    )
    jwt_old_secrets: SecretStr = Field(SecretStr(""), description=ABOUT["jwt_old_secrets"])
    jwt_audience: Name | None = Field(None, description=ABOUT["jwt_audience"])
    jwt_issuer: Name | None = Field(None, description=ABOUT["jwt_issuer"])
    groups: str = Field("", max_length=LONGEST_TEXT, description=ABOUT["groups"])

    @property
    def token_values(self) -> TokenValues:
        """The same for what believes tokens. Raises `ValueError` where a file has changed."""
        own = self.jwt_secret.get_secret_value()
        return TokenValues(
            secrets=[
                *([own] if own else []),
                *read_old_secrets(self.jwt_old_secrets.get_secret_value()),
            ],
            keys=read_keys(self.jwt_keys),
            jwks_url=self.jwks_url,
            audience=self.jwt_audience,
            issuer=self.jwt_issuer,
            longest_life_s=self.jwt_longest_life_s,
            groups=read_groups(self.groups),
        )

    @field_validator("groups")
    @classmethod
    def _are_groups(cls, groups: str) -> str:
        read_groups(groups)
        return groups

    @field_validator("jwt_keys")
    @classmethod
    def _are_keys(cls, names: str) -> str:
        read_keys(names)
        return names

    @field_validator("jwks_url")
    @classmethod
    def _is_secure(cls, url: str) -> str:
        return read_jwks_url(url)

    @field_validator("jwt_old_secrets")
    @classmethod
    def _are_long_enough(cls, secrets: SecretStr) -> SecretStr:
        read_old_secrets(secrets.get_secret_value())
        return secrets

    @field_validator("jwt_secret")
    @classmethod
    def _is_long_enough(cls, secret: SecretStr, info: ValidationInfo) -> SecretStr:
        has_others = info.data.get("jwt_keys", "?") or info.data.get("jwks_url", "?")
        read = read_secret if has_others else required_secret
        read(secret.get_secret_value())
        return secret
