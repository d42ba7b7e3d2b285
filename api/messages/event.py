"""Events as Anthropic's streams have them. Pure."""

from typing import Any

from api.json_text import compact
from api.sse import named_event


def typed_event(type: str, **fields: Any) -> bytes:
    """An event whose type stands in its data, too.

    >>> typed_event("ping")
    b'event: ping\\ndata: {"type":"ping"}\\n\\n'
    """
    return named_event(type, compact({"type": type, **fields}))
