"""What the embedded Redis may hold and where it writes, read from `LLAMAQ_*` variables."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings

from dispatcher.settings import FROM_ENVIRONMENT, Seconds
from llamaq.embedded_redis import FEWEST_BYTES, REWRITE_S, Keeping


class EmbeddedSettings(BaseSettings):
    """How `llamaq up` keeps its Redis. Times in seconds."""

    model_config = FROM_ENVIRONMENT

    redis_max_bytes: int | None = Field(
        None,
        ge=FEWEST_BYTES,
        description="memory that the embedded Redis may use (its maxmemory); unless set, a quarter "
        "of the machine's, at most 8 GiB",
    )
    redis_dir: Path | None = Field(
        None,
        description="folder for what the embedded Redis keeps, beside the data folder: one in "
        "memory, such as /dev/shm/llamaq, keeps prompts off the disk (docs/caches.md)",
    )
    redis_rewrite_s: Seconds = Field(
        REWRITE_S, description="how long prompts that were answered may stay in that folder"
    )

    @property
    def keeping(self) -> Keeping:
        """The same for `embedded_redis`, which loads nothing to read settings with."""
        return Keeping(self.redis_max_bytes, self.redis_dir, self.redis_rewrite_s)
