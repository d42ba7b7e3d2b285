"""The tokens of an answer, as OpenAI counts them. Pure."""

from collections.abc import Sequence
from typing import Any

Usage = dict[str, Any]


def merge_usage(usages: Sequence[Usage | None]) -> Usage | None:
    """Usage of several choices of one prompt: its tokens count once, those made add up."""
    first = usages[0]
    if first is None:
        return None
    made = sum([usage["completion_tokens"] for usage in usages if usage])
    total = first["prompt_tokens"] + made
    return {**first, "completion_tokens": made, "total_tokens": total}
