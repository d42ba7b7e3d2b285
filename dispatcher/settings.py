"""What APIs and bridges must know to meet at the queue: `LLAMAQ_*` environment variables."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from dispatcher.queue_address import (
    ABOUT,
    OTHER_URL,
    PASSWORD_FILE,
    SENTINEL_FILE,
    URL,
    checked_address,
)

# How each part reads its settings. What is not valid is told without its value: it may be a secret.
FROM_ENVIRONMENT = SettingsConfigDict(
    env_prefix="LLAMAQ_",
    env_ignore_empty=True,
    extra="ignore",
    frozen=True,
    populate_by_name=True,
    hide_input_in_errors=True,
    protected_namespaces=(),
)
_PASSWORD_FILES = "redis_password_file", "sentinel_password_file"
Seconds = Annotated[float, Field(gt=0, le=7 * 24 * 3600)]


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment for programs that are not llamaq's: no setting and no secret of llamaq.

    >>> without_settings({"PATH": "/bin", "LLAMAQ_JWT_SECRET": "x", "REDIS_URL": "y"})
    {'PATH': '/bin'}
    """
    return {
        name: value
        for name, value in environment.items()
        if not name.upper().startswith("LLAMAQ_") and name.upper() != "REDIS_URL"
    }


class QueueSettings(BaseSettings):
    """Where the queue is and how it is kept. All times in seconds."""

    model_config = FROM_ENVIRONMENT

    redis_password_file: Path | None = Field(None, description=ABOUT[PASSWORD_FILE])
    sentinel_password_file: Path | None = Field(None, description=ABOUT[SENTINEL_FILE])
    redis_url: SecretStr = Field(
        validation_alias=AliasChoices(URL, OTHER_URL), description=ABOUT[URL]
    )
    allow_eviction: bool = Field(
        False, description="start though Redis evicts keys when its memory is full: it loses jobs"
    )
    lease_s: Seconds = Field(4, description="a bridge or API that is silent for this long is dead")
    max_queue_jobs: int = Field(1000, ge=1, description="jobs that may wait for one model")
    max_queue_bytes: int = Field(
        256 * 2**20, ge=2**20, description="bytes of request bodies that may wait for one model"
    )
    max_running: int = Field(
        0, ge=0, description="jobs of one model at work at a time; 0: no bound"
    )
    max_tenant_jobs: int = Field(
        0, ge=0, description="jobs that one tenant may have waiting for a model; 0: no bound"
    )
    max_tenant_running: int = Field(
        0, ge=0, description="jobs of one tenant that a model works on at a time; 0: no bound"
    )
    max_attempts: int = Field(3, ge=1, description="workers that may try a job before it fails")
    max_crashes: int = Field(2, ge=1, description="servers that a job may crash before it fails")
    max_unread_bytes: int = Field(
        64 * 2**20, ge=2**20, description="reply bytes that an API may be behind by"
    )

    max_invited_bytes: int = Field(
        2**30,
        ge=2**20,
        description="bytes in Redis of a model that invited machines serve, with its queue and its "
        "replies; past it, or half of Redis' maxmemory, an API takes the invitations back",
    )

    @field_validator("redis_url")
    @classmethod
    def _is_address(cls, url: SecretStr, info: ValidationInfo) -> SecretStr:
        file, of_sentinels = (info.data.get(name) for name in _PASSWORD_FILES)
        return SecretStr(checked_address(url.get_secret_value(), file, of_sentinels))
