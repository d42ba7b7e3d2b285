"""How many tokens an answer may have, by the fields that say it. Pure."""

from collections.abc import Mapping
from typing import Any

OUTPUT_LIMITS = ("n_predict", "max_completion_tokens", "max_tokens")
"""Their names; the first one present wins."""


def output_limit(fields: Mapping[str, Any]) -> int | None:
    """The limit in tokens, None where there is none but the context's.

    >>> output_limit({"max_tokens": 7}), output_limit({"n_predict": -1, "max_tokens": 7})
    (7, None)
    """
    limit = int(fields.get(_name(fields), -1))
    return None if limit < 0 else limit


def tokens_left(body: Mapping[str, Any], seen_tokens: int) -> int | None:
    """How many may still come after those that were seen; None without a limit.

    >>> tokens_left({"max_tokens": 7}, 3), tokens_left({"max_tokens": 0}, 0)
    (4, 1)
    """
    limit = output_limit(body)
    return None if limit is None else max(0, max(1, limit) - seen_tokens)  # 0 makes one, too


def with_limit_of_rest(body: dict[str, Any], seen_tokens: int) -> dict[str, Any]:
    """A body that asks for what is left after the tokens that were seen."""
    left = tokens_left(body, seen_tokens)
    return body if left is None else {**body, _name(body): left}


def _name(fields: Mapping[str, Any]) -> str:
    for name in OUTPUT_LIMITS:
        if name in fields:
            return name
    return ""
