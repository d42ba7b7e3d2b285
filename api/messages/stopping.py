"""Which stop sequence has ended a message: a llama-server tells it where it is asked to. Pure."""

from collections.abc import Mapping
from typing import Any

DETAILS = b'"__verbose":'
"""Stands in a chunk that has details."""

ASKED: Mapping[str, Any] = {"verbose": True, "response_fields": ["stopping_word"]}
"""Asks for this detail alone; it comes with the last text, or with why it ended."""


def stopping_word(chunk: Mapping[str, Any]) -> str | None:
    """The stop sequence that a chunk tells, if it does.

    >>> stopping_word({"__verbose": {"stopping_word": "END"}})
    'END'
    >>> stopping_word({"__verbose": {"stopping_word": ""}}), stopping_word({})
    (None, None)
    """
    details = chunk.get("__verbose")
    word = details.get("stopping_word") if isinstance(details, Mapping) else None
    return word if isinstance(word, str) and word else None
