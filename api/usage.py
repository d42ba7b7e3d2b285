"""The tokens of an answer, as OpenAI counts them. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

Usage = dict[str, Any]


def cached_tokens(usage: Mapping[str, Any]) -> int:
    """How many tokens of the prompt were cached, 0 where that is not told."""
    details = usage.get("prompt_tokens_details") or {}
    return int(details.get("cached_tokens", 0))


def merge_usage(usages: Sequence[Usage | None]) -> Usage | None:
    """Usage of several choices of one prompt: its tokens count once, those made add up."""
    first = usages[0]
    if first is None:
        return None
    made = sum([usage["completion_tokens"] for usage in usages if usage])
    total = first["prompt_tokens"] + made
    return {**first, "completion_tokens": made, "total_tokens": total}


def added_usage(usages: Sequence[Usage | None]) -> Usage | None:
    """Usage of several prompts: all adds up. None where one of them is not known."""
    known = [usage for usage in usages if usage is not None]
    if len(known) < len(usages):
        return None
    counts = ("completion_tokens", "prompt_tokens", "total_tokens")
    added: Usage = {**known[0], **{name: sum([each[name] for each in known]) for name in counts}}
    details = [each["prompt_tokens_details"] for each in known if "prompt_tokens_details" in each]
    if details:
        cached = sum([each["cached_tokens"] for each in details])
        added["prompt_tokens_details"] = {**details[0], "cached_tokens": cached}
    return added
