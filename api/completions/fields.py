"""The fields of a request for text completions: what each may hold. Pure."""

from collections.abc import Mapping
from typing import Any

from api.errors import bad_request
from api.rules import Flag, Logprobs, Rule, Text, Whole
from api.sampling_fields import LARGEST_INT, OWN, SAMPLING, TERMS, known_fields

# What llama-server reads and honours, beside the prompt.
FORWARDED: Mapping[str, Rule] = {**SAMPLING, "logprobs": Logprobs(20)}
# What OpenAI has and llama-server does not: only what changes nothing is taken.
WITHOUT_EFFECT: Mapping[str, Rule] = {
    "echo": Flag(),
    "suffix": Text(LARGEST_INT),
    "best_of": Whole(1, LARGEST_INT),
}
_RULES: Mapping[str, Rule] = {**FORWARDED, **WITHOUT_EFFECT, **OWN}
_ELSEWHERE = ("prompt", *TERMS)
FIELDS: Mapping[str, Rule | None] = {**_RULES, **dict.fromkeys(_ELSEWHERE)}
KNOWN = frozenset(FIELDS)


def checked_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that we know, with checked values; an `ApiError` 400 names the first bad one.

    The prompt is checked elsewhere.
    """
    checked = known_fields(fields, _RULES, _ELSEWHERE)
    _check_effects(checked)
    return checked


def forwarded(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the checked fields that llama-server gets to see, beside the prompt."""
    return {name: value for name, value in fields.items() if name in FORWARDED}


def _check_effects(fields: Mapping[str, Any]) -> None:
    if fields.get("echo"):
        raise bad_request(
            "`echo` is not served: llama-server does not repeat the prompt. Leave it out.",
            param="echo",
        )
    if fields.get("suffix"):
        raise bad_request(
            "`suffix` is not served: llama-server's text completions ignore it. Leave it out.",
            param="suffix",
        )
    choices = fields.get("n", fields.get("n_cmpl", 1))
    if fields.get("best_of", 1) not in (1, choices):
        raise bad_request(
            "`best_of` is not served: llama-server returns all that it makes. Leave it out, and "
            "ask for `n` answers.",
            param="best_of",
        )
