"""Requests that try to harm a server, each a little different from the one before."""

from collections.abc import Iterator
from itertools import count, cycle
from random import Random
from typing import Any

from llamaq.demo_words import CHAT_TEMPLATE
from testing.crash_cases import CRASHES
from testing.field_cases import CASES, tool

MODEL = "tiny"
RAISE = "raise an error"
# As some models have it: the chat template refuses what it does not like.
TEMPLATE = (
    "{%- for message in messages %}{%- if message.content == '" + RAISE + "' %}"
    "{{- raise_exception('This conversation is not as I like it.') }}"
    "{%- endif %}{%- endfor %}" + CHAT_TEMPLATE
)
_INTERNAL = {
    "chat_parser": "{",
    "grammar_triggers": [{"type": 2, "value": "((a*)*)*b"}],
    "generation_prompt": "x" * 10_000,
    "id_slot": 0,
    "lora": [{"id": 0, "scale": 1}],
    "n_keep": -1,
}


def attacks(seed: int) -> Iterator[dict[str, Any]]:
    """Bodies of chats, for ever."""
    mixed = _kinds()
    Random(seed).shuffle(mixed)  # noqa: S311
    kinds = cycle(mixed)
    for number in count():
        body = _body(f"Attack {number}")
        fields = next(kinds)
        if isinstance(grammar := fields.get("grammar"), str):
            fields = {"grammar": f"{grammar} # {number}"}  # so that nobody knows it already
        yield {name: value for name, value in (body | fields).items() if value is not ...}


def _kinds() -> list[dict[str, Any]]:
    found = [
        case.beside | {name: value}
        for name, case in CASES.items()
        for value in (*case.bad, *case.good)
        if name not in ("model", "n", "n_cmpl")
    ]
    found += [{"tools": [tool("f", schema)]} for schema in CASES["json_schema"].bad]
    found += [{"messages": [{"role": "user", "content": RAISE}]}] * (len(found) // 10)
    return [*found, _INTERNAL]


def _body(text: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": MODEL, "messages": messages, "max_tokens": 16}


def crashes() -> list[tuple[str, bytes]]:
    """Paths and bodies of what is known to crash servers."""
    return [(crash.path, crash.body) for crash in CRASHES]


def large_bodies(tokens: int) -> list[bytes]:
    """Just under the bounds, and over them."""
    most, end = 32 * 2**20, f', "max_tokens": {tokens}, "ignore_eos": true}}'
    begin = f'{{"model": "{MODEL}", "messages": [{{"role": "user", "content": "Hi", "name": "'

    def of_size(size: int) -> bytes:
        return (begin + "x" * (size - len(begin) - len(end) - 3) + '"}]' + end).encode()

    def with_keys(number: int) -> bytes:
        keys = ", ".join(f'"k{nth}": 1' for nth in range(number))
        return (begin + f'"}}], {keys}' + end).encode()

    return [
        of_size(most),
        of_size(most + 1),
        b'{"messages": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        with_keys(190_000),
        with_keys(400_000),
        b'{"model": "tiny", "messages": [' + b"{}," * 240_000 + b"{}]}",
        b'{"a": [' + b"1," * 2_000_000 + b"1]}",
        of_size(10**6),
        b'{"a": "' + b"\\u0061" * 5_000_000 + b'"}',
    ]
