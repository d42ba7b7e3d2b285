"""Prompts that no template makes: texts and tokens, as llama-server understands them. Pure.

The bounds lie far above what clients send. Measured on llama.cpp b11549: a million tokens take
0.2 s and 13 MiB, a million strings among tokens 1.3 s and 108 MiB.
"""

from collections.abc import Sequence
from hashlib import blake2b
from itertools import count
from math import ceil
from typing import Any

from api.cache_names import DIGEST_BYTES, MOST
from api.errors import ApiError, bad_request
from api.estimate import BYTES_PER_TOKEN, bytes_of
from api.json_text import compact
from api.sampling_fields import LARGEST_INT

Prompt = str | list[int | str]
"""A text, or tokens among which texts may stand."""

MAX_PARTS = 2**20
MAX_TEXTS = 4096  # among tokens
_FEWEST_BYTES = 256  # of a beginning that is worth a name
_STEPS = 4  # named sizes from one to its double


def checked_prompts(prompt: Any, name: str = "prompt") -> list[Prompt]:
    """The prompts that the field `name` holds, or an `ApiError` 400."""
    if not isinstance(prompt, list) or any(_is_number(part) for part in prompt):
        return [_prompt(prompt, name)]
    if not prompt:
        raise bad_request(f"`{name}` must not be empty.", param=name)
    return [_prompt(each, f"{name}[{i}]") for i, each in enumerate(prompt)]


def continued(prompt: Prompt, text: str) -> Prompt:
    """A prompt, followed by the text that a model has made of it.

    A vocabulary of SentencePiece's kind puts a blank between tokens and a text. There the model
    goes on from a prompt with one blank more.

    >>> continued("Once", " upon"), continued([1, "Once"], " upon"), continued([1, 2], "a")
    ('Once upon', [1, 'Once upon'], [1, 2, 'a'])
    """
    if isinstance(prompt, str):
        return prompt + text
    *before, last = prompt
    return [*before, last + text] if isinstance(last, str) else [*prompt, text]


def prompt_tokens(prompts: Sequence[Prompt]) -> int:
    """Tokens of one prompt, 1 or more: of several the mean."""
    return max(1, ceil(sum(map(tokens_of, prompts)) / len(prompts)))


def tokens_of(prompt: Prompt) -> float:
    """About how many tokens a prompt has."""
    if isinstance(prompt, str):
        return bytes_of(prompt) / BYTES_PER_TOKEN
    texts = [part for part in prompt if isinstance(part, str)]
    return len(prompt) - len(texts) + sum(map(bytes_of, texts)) / BYTES_PER_TOKEN


def beginnings(prompts: Sequence[Prompt], salt: bytes) -> list[str]:
    """Names for beginnings that all the prompts share, the longest first, at most `MOST`.

    Their sizes are fixed, and grow by a fifth on average. So a longer prompt that begins alike has
    most of the same names. They are salted (`api.cache_names.salt_of`).
    """
    first, *others = [_names(prompt, salt) for prompt in prompts]
    return [name for name in first if all(name in other for other in others)]


def _prompt(prompt: Any, where: str) -> Prompt:
    if isinstance(prompt, dict):
        prompt = _text_of(prompt, where)
    if isinstance(prompt, str):
        return prompt
    if not isinstance(prompt, list) or not all(map(_is_part, prompt)):
        raise _no_prompt(where)
    if prompt and not any(map(_is_number, prompt)):
        raise _no_prompt(where)
    _check_parts(prompt, where)
    return prompt


def _check_parts(prompt: list[int | str], where: str) -> None:
    tokens = [part for part in prompt if isinstance(part, int)]
    if not all(0 <= token <= LARGEST_INT for token in tokens):
        raise bad_request(f"`{where}` has a token that no model has.", param=where)
    if len(prompt) > MAX_PARTS or len(prompt) - len(tokens) > MAX_TEXTS:
        raise bad_request(
            f"`{where}` must have {MAX_PARTS} tokens and {MAX_TEXTS} strings at most.", param=where
        )


def _text_of(prompt: dict[str, Any], where: str) -> Any:
    if prompt.get("multimodal_data"):
        raise bad_request(
            f"`{where}.multimodal_data` is not served here: send media to /v1/chat/completions.",
            param=f"{where}.multimodal_data",
        )
    return prompt.get("prompt_string")


def _no_prompt(where: str) -> ApiError:
    more = "" if where.endswith("]") else ", or a list of these"
    return bad_request(
        f"`{where}` must be a string, a list of tokens, or a list of tokens and strings{more}.",
        param=where,
    )


def _is_number(part: Any) -> bool:
    return type(part) is int


def _is_part(part: Any) -> bool:
    return type(part) is int or isinstance(part, str)


def _names(prompt: Prompt, salt: bytes) -> list[str]:
    text = prompt.encode() if isinstance(prompt, str) else compact(prompt)[:-1]
    so_far, done, names = blake2b(digest_size=DIGEST_BYTES, salt=salt), 0, []
    for size in _sizes(len(text)):
        so_far.update(text[done:size])
        done = size
        names.append(so_far.hexdigest())
    return names[: -MOST - 1 : -1]


def _sizes(most: int) -> Sequence[int]:
    """The named sizes up to `most` bytes: 256, 320, 384, 448, 512, 640, …"""
    sizes: list[int] = []
    for step in count():
        size = (_STEPS + step % _STEPS) * _FEWEST_BYTES // _STEPS << step // _STEPS
        if size > most:
            return sizes
        sizes.append(size)
    return sizes
