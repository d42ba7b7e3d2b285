"""Further fields of requests that llama-servers get as they are: an operator's list. Pure."""

import re
from functools import lru_cache

MOST_CHARS = 48
TOKEN = re.compile(rf"[!#$%&'*+.^_`|~0-9A-Za-z-]{{1,{MOST_CHARS}}}")
"""Matches names that may stand in a header (RFC 9110 §5.6.2)."""

# What llamaq says itself to a llama-server, or acts on.
_OWN = frozenset(
    {
        *("model", "stream", "stream_options", "return_progress", "timings_per_token"),
        *("n", "n_cmpl", "messages", "tools", "tool_choice", "prompt", "input", "content"),
        *("input_prefix", "input_suffix", "input_extra", "query", "documents", "texts"),
        *("system", "instructions", "user", "service_tier", "prompt_cache_key"),
        *("return_tokens", "response_fields", "dimensions", "echo"),
        *("continue_final_message", "add_generation_prompt", "seed", "stop"),
        *("max_tokens", "max_completion_tokens", "max_output_tokens", "n_predict"),
        *("grammar", "json_schema", "response_format"),
        *("logprobs", "n_probs", "post_sampling_probs"),
    }
)


@lru_cache(maxsize=4)
def read_forwarded(text: str) -> frozenset[str]:
    """The names in an operator's list with commas. Raises `ValueError` for what can't be passed on.

    >>> sorted(read_forwarded("lora, id_slot"))
    ['id_slot', 'lora']
    """
    names = frozenset(word.strip() for word in text.split(",") if word.strip())
    own = sorted(names & _OWN)
    if own:
        raise ValueError(f"can't name {', '.join(own)}: llamaq sets or reads that itself")
    odd = sorted(name for name in names if not TOKEN.fullmatch(name))
    if odd:
        raise ValueError(
            f"must be names of fields with commas between, of up to {MOST_CHARS} characters each; "
            f"{odd[0]!r} is none"
        )
    return names
