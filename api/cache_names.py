"""Names for the beginnings of prompts: a worker that has served one has it in its cache. Pure."""

from functools import lru_cache
from hashlib import blake2b

from api.json_text import canonical
from dispatcher.constants import KEYED

MOST = 24
"""How many names a job may have."""
DIGEST_BYTES = 8
_SALT_BYTES = blake2b.SALT_SIZE


@lru_cache(maxsize=1024)
def salt_of(subject: str, user: str) -> bytes:
    """What makes a tenant's names its own, and those of each end user of a delegate.

    Equal prompts of two tenants share no name, so no job of one goes where the other's is cached.
    """
    return blake2b(canonical([subject, user]), digest_size=_SALT_BYTES).digest()


def key_name(subject: str, key: str) -> str:
    """The name of all prompts that a tenant gives this `prompt_cache_key`.

    A delegate gives it, so its end users may share it.
    """
    return KEYED + blake2b(canonical([subject, key]), digest_size=DIGEST_BYTES).hexdigest()


def with_key(names: list[str], subject: str, key: str | None) -> tuple[str, ...]:
    """The names of a job whose client may have named a `prompt_cache_key`."""
    return tuple(names if key is None else [*names[: MOST - 1], key_name(subject, key)])
