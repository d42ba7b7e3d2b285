"""Names the beginnings of a conversation: its next turn finds the worker that served them. Pure."""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from api.cache_names import DIGEST_BYTES, MOST
from api.json_text import canonical

# What templates render before the first message.
_HEAD = ("tools", "chat_template_kwargs")
_SHARED = frozenset({"system", "developer"})


def head_of(fields: Mapping[str, Any]) -> bytes:
    """What of a chat's fields comes before its messages; empty if there is nothing."""
    head = {name: fields[name] for name in _HEAD if name in fields}
    return canonical(head) if head else b""


def chain(head: bytes, messages: Sequence[Mapping[str, Any]], salt: bytes) -> list[str]:
    """The names of a conversation's beginnings, the longest first: the whole, then without its
    last message, and so on, at most `MOST`. They are salted (`api.cache_names.salt_of`).

    A beginning of system messages alone has none: too many conversations share it.
    """
    own = next((i for i, said in enumerate(messages) if said["role"] not in _SHARED), len(messages))
    first = max(own, len(messages) - MOST)
    so_far = blake2b(head, digest_size=DIGEST_BYTES, salt=salt)
    names = []
    for i, message in enumerate(messages):
        so_far.update(canonical(message))
        if i >= first:
            names.append(so_far.hexdigest())
    return names[::-1]
