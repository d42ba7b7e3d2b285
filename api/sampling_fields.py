"""The fields that requests for text have in common: what each may hold. Pure.

The bounds lie far above what clients send, and well below what hurts. Measured on llama.cpp b11549:

field                     what hurts                                        bound
repeat_last_n             100 million take 0.4 GB, 2^31 - 1 take 8 GB       the context
dry_penalty_last_n        100 million take 0.8 GB, 2^31 - 1 take 17 GB      the context
dry_sequence_breakers     each is compared with all words of the model      20
samplers                  each takes its memory again when named again      each once
logit_bias, stop          100,000 entries take 0.3 s                        4,096 and 128 entries
grammar, JSON schemas     see `api/grammar`
"""

from collections.abc import Collection, Mapping
from typing import Any

from api.errors import bad_request
from api.grammar.grammar import Grammar
from api.grammar.schema import SchemaField
from api.rules import (
    Biases,
    Flag,
    Number,
    Rule,
    Samplers,
    StreamOptions,
    Text,
    Texts,
    Whole,
)

LARGEST_INT = 2**31 - 1
# Of a model whose context nobody knows yet: 0.5 MB for each field.
USUAL_CONTEXT = 131_072

LIMIT = Whole(-1, LARGEST_INT)
"""A number of tokens; -1 is without a limit."""
_COUNT = Whole(0, LARGEST_INT)
_ANY = Number(-1e6, 1e6)
_LAST_N = Whole(-1, LARGEST_INT)  # -1 is the context, of the servers that know it

# What llama-server reads and honours; `LAST_N` are bounded by the model's context as well.
SAMPLING: Mapping[str, Rule] = {
    "model": Text(256),
    # how the answer looks
    "json_schema": SchemaField(),
    "grammar": Grammar(),
    "stop": Texts(128, 1024, or_one=True),
    "ignore_eos": Flag(),
    "n_predict": LIMIT,
    "max_completion_tokens": LIMIT,
    "max_tokens": LIMIT,
    "n_indent": Whole(0, 1000),
    "n_probs": Whole(0, 20),
    "post_sampling_probs": Flag(),
    # how tokens are chosen
    "seed": Whole(-(2**63), 2**64 - 1),
    "temperature": _ANY,
    "dynatemp_range": _ANY,
    "dynatemp_exponent": _ANY,
    "top_k": Whole(-1, LARGEST_INT),
    "top_p": _ANY,
    "min_p": _ANY,
    "typical_p": _ANY,
    "top_n_sigma": _ANY,
    "xtc_probability": _ANY,
    "xtc_threshold": _ANY,
    "min_keep": _COUNT,
    "repeat_last_n": _LAST_N,
    "repeat_penalty": Number(0.001, 1e6),
    "frequency_penalty": _ANY,
    "presence_penalty": _ANY,
    "dry_multiplier": _ANY,
    "dry_base": _ANY,
    "dry_allowed_length": _COUNT,
    "dry_penalty_last_n": _LAST_N,
    "dry_sequence_breakers": Texts(20, 256),
    "mirostat": Whole(0, 2),
    "mirostat_tau": _ANY,
    "mirostat_eta": _ANY,
    "adaptive_target": _ANY,
    "adaptive_decay": Number(0, 0.99),
    "samplers": Samplers(16, 64),
    "logit_bias": Biases(4096, 256),
}

# What the API acts on itself. All else is left out, such as what reaches into a server, its slots
# and its cache (`id_slot`, `cache_prompt`, `lora`, …), and what a server tells itself between two
# of its parts (`chat_parser`, `grammar_triggers`, `generation_prompt`, …).
OWN: Mapping[str, Rule] = {
    "stream": Flag(),
    "stream_options": StreamOptions(),
    "return_progress": Flag(),
    "timings_per_token": Flag(),
    "n": Whole(1, LARGEST_INT),
    "n_cmpl": Whole(1, LARGEST_INT),
    "prompt_cache_key": Text(LARGEST_INT),
}
TERMS = ("user", "service_tier")
"""What `api/terms.py` reads."""
LAST_N = ("repeat_last_n", "dry_penalty_last_n")


def known_fields(
    fields: Mapping[str, Any], rules: Mapping[str, Rule], elsewhere: Collection[str]
) -> dict[str, Any]:
    """The fields that `rules` know, with checked values, and those that are checked `elsewhere`.

    An `ApiError` 400 names the first bad one.
    """
    checked = {}
    for name, value in fields.items():
        rule = rules.get(name)
        if rule is not None:
            checked[name] = rule.checked(value, name)
        elif name in elsewhere:
            checked[name] = value
    return checked


def check_context(fields: Mapping[str, Any], context: int) -> None:
    """Raise an `ApiError` 400 for a field that looks back over more tokens than `context`.

    `context` is that of the model's largest worker, 0 where none is known.
    """
    most = context or USUAL_CONTEXT
    for name in LAST_N:
        if fields.get(name, 0) > most:
            raise bad_request(
                f"`{name}` must be from -1 to {most}, the context of the model.", param=name
            )
