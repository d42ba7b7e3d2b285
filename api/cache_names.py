"""Names for the beginnings of prompts: a worker that has served one has it in its cache. Pure."""

from hashlib import blake2b

from api.json_text import canonical
from dispatcher.constants import KEYED

MOST = 24
"""How many names a job may have."""
DIGEST_BYTES = 8


def key_name(subject: str, key: str) -> str:
    """The name of all prompts that a tenant gives this `prompt_cache_key`."""
    return KEYED + blake2b(canonical([subject, key]), digest_size=DIGEST_BYTES).hexdigest()


def with_key(names: list[str], subject: str, key: str | None) -> tuple[str, ...]:
    """The names of a job whose client may have named a `prompt_cache_key`."""
    return tuple(names if key is None else [*names[: MOST - 1], key_name(subject, key)])
