"""The fields of llama.cpp's own endpoints: what each may hold, and which reach llama-server. Pure.

What reaches into a server, its slots and its cache is left out: `id_slot`, `cache_prompt`, `lora`.
"""

from collections.abc import Mapping
from typing import Any

from api import sampling_fields
from api.rules import Flag, Logprobs, Rule, Texts, Whole
from api.sampling_fields import LARGEST_INT, SAMPLING, TERMS, known_fields

# What llama-server reads and honours.
FORWARDED: Mapping[str, Rule] = {
    **SAMPLING,
    "logprobs": Logprobs(20),  # another name of `n_probs`
    "n_keep": Whole(-1, LARGEST_INT),
    "t_max_predict_ms": Whole(-1, LARGEST_INT),
}
# What the API acts on itself.
OWN: Mapping[str, Rule] = {
    **sampling_fields.OWN,
    "return_tokens": Flag(),
    "response_fields": Texts(128, 256),
}
_RULES: Mapping[str, Rule] = {**FORWARDED, **OWN}
FIELDS: Mapping[str, Rule | None] = {**_RULES, **dict.fromkeys(TERMS)}
KNOWN = frozenset(FIELDS)


def checked_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that we know, with checked values; an `ApiError` 400 names the first bad one."""
    return known_fields(fields, _RULES, TERMS)


def forwarded(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the checked fields that llama-server gets to see."""
    return {name: value for name, value in fields.items() if name in FORWARDED}
