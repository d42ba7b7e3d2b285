"""What the demo model can say: its tokens, which of them follow which, its chat template."""

from math import log

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float32]

# One token per byte, so every text has exactly one tokenisation and tokens can be counted by eye.
TOKEN_CLASSES = {
    "consonant": "bdfgklmnprstvz",
    "vowel": "aeiou",
    "space": " ",
    "stop": ".",
    "quote": '"',
    "first": "BDFG",
    "second": "AE",
    "third": "LMNR",
    "fourth": "IOU",
    "digit": "0123456789",
    "colon": ":",
    "comma": ",",
    "open": "{",
    "close": "}",
    "open_list": "[",
    "close_list": "]",
}
SPECIAL_TOKENS = {
    "bos": "<|endoftext|>",
    "turn": "<|im_start|>",
    "turn_end": "<|im_end|>",
    "tools": "<|tools|>",
    "call": "<tool_call>",
    "call_end": "</tool_call>",
}
BYTES = 256
SPECIAL_IDS = {name: BYTES + index for index, name in enumerate(SPECIAL_TOKENS)}
# They precede the text before a gap, the text after it, and what fills it. No UTF-8 has them.
INFILL_IDS = {"pre": 0xF8, "suf": 0xF9, "mid": 0xFA}
VOCABULARY = BYTES + len(SPECIAL_TOKENS)
CLASS_NAMES = (*TOKEN_CLASSES, *SPECIAL_TOKENS, "other")

# Which class of token follows which, as a log-weight per token. Plain text stays in the first
# rows. JSON is reached only where a grammar or a tool call demands it; there a string is four
# capital letters that lead to its closing quote, so that it ends at any temperature.
FOLLOWS = {
    "consonant": {"vowel": 0.0},
    "vowel": {"consonant": 0.0, "space": 1.9, "stop": 1.0},
    "space": {"consonant": 0.0},
    "other": {"consonant": 0.0},
    "stop": {"space": 0.0},
    "tools": {"call": 0.0},
    "call": {"open": 0.0},
    "call_end": {"turn_end": 0.0, "quote": 0.0},
    "quote": {
        "first": 0.0, "turn_end": -1.5,
        "colon": -5.0, "close": -5.0, "close_list": -5.0, "comma": -8.0,
    },
    "first": {"second": 0.0},
    "second": {"third": 0.0},
    "third": {"fourth": 0.0},
    "fourth": {"quote": 4.0, "first": 0.0},
    "digit": {"close": 0.0, "close_list": 0.0, "comma": -2.0, "digit": -1.5},
    "colon": {"quote": 0.0, "digit": -1.0, "open": -6.0, "open_list": -6.0},
    "comma": {"quote": 0.0, "digit": -1.0, "open": -6.0, "open_list": -6.0},
    "open": {"quote": 0.0, "close": -4.0},
    "open_list": {"quote": 0.0, "digit": -1.0, "close_list": -2.0, "open": -4.0},
    # A quote here can only end a string that happens to hold brackets.
    "close": {
        "quote": 6.0, "turn_end": 0.0, "call_end": 0.0, "close": 0.0, "close_list": 0.0,
        "comma": -3.0,
    },
    "close_list": {"quote": 6.0, "turn_end": 0.0, "close": 0.0, "close_list": 0.0, "comma": -3.0},
}  # fmt: skip
UNLIKELY = -12.0
NEVER = -40.0

# ChatML. With tools, the answer is opened by a token that makes the model call one of them,
# unless the last message is a result.
CHAT_TEMPLATE = """\
{%- if tools %}{{- '<|im_start|>system\\n<tools>\\n' }}
{%- for tool in tools %}{{- (tool | tojson) + '\\n' }}{%- endfor %}
{{- '</tools><|im_end|>\\n' }}{%- endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.content %}{{- message.content }}{%- endif %}
{%- for call in message.tool_calls or [] %}
{{- '<tool_call>{"name": "' + call.function.name + '", "arguments": ' }}
{{- (call.function.arguments | tojson) + '}</tool_call>' }}
{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}
{%- if tools and messages[-1].role != 'tool' %}{{- '<|tools|>' }}{%- endif %}
{%- endif %}
"""


def token_class(token: int) -> str:
    """The class of a token id: what decides, apart from some noise, which tokens may follow it."""
    if token >= BYTES:
        return list(SPECIAL_TOKENS)[token - BYTES]
    return next((name for name, chars in TOKEN_CLASSES.items() if chr(token) in chars), "other")


def transition_table(stop_rate: float) -> Weights:
    """Log-weight of each next token (rows) after a token of each class (columns)."""
    kinds = [token_class(token) for token in range(VOCABULARY)]
    table = np.full((VOCABULARY, len(CLASS_NAMES)), NEVER, np.float32)
    table[0x20:0x7F] = UNLIKELY
    table[kinds.index("turn_end")] = UNLIKELY
    for column, previous in enumerate(CLASS_NAMES):
        for token, kind in enumerate(kinds):
            table[token, column] = FOLLOWS.get(previous, FOLLOWS["other"]).get(
                kind, table[token, column]
            )
    table[kinds.index("turn_end"), CLASS_NAMES.index("stop")] = _turn_end_after_stop(stop_rate)
    return table


def _turn_end_after_stop(stop_rate: float) -> float:
    """The log-weight, against a space, that makes about `stop_rate` of all tokens end a turn."""
    share = stop_rate / 0.06  # about the share of full stops
    return log(share / (1 - share)) if share else NEVER


def byte_token_text(byte: int) -> str:
    """GPT-2's printable stand-in for a byte: itself if printable, else one from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    if byte in printable:
        return chr(byte)
    return chr(0x100 + sum(other not in printable for other in range(byte)))
