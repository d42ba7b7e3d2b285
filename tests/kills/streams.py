"""What an endpoint tells of one question, whole or as a stream. One row for each endpoint."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.end_to_end.twins import ALIAS, Twins

TOKENS = 200

Hear = Callable[[str, int], None]
"""Is called after each piece of text: with the worker that began, and the number of pieces."""


@dataclass(frozen=True, slots=True)
class Told:
    """An answer: its text, why it ended, its tokens, and under how many names it came."""

    text: str
    finish: str | None
    prompt_tokens: int
    completion_tokens: int
    names: int = 1


@dataclass(frozen=True, slots=True)
class Stream:
    """How an endpoint is asked question number such and such; the answer is always the same."""

    whole: Callable[[Twins, int], Told]
    streamed: Callable[[Twins, int, Hear], Told]


def _completion(number: int) -> dict[str, Any]:
    text = f"Once upon a time, in story number {number},"
    prompts = (text, list(text.encode()), [*text.encode()[:9], text[9:]])
    return {
        **{"model": ALIAS, "prompt": prompts[number % len(prompts)], "temperature": 0},
        **{"max_tokens": TOKENS, "extra_body": {"ignore_eos": True}},
    }


def _whole_completion(both: Twins, number: int) -> Told:
    with both.openai() as client:
        answer = client.completions.create(**_completion(number))
    (choice,), usage = answer.choices, answer.usage
    assert usage
    return Told(choice.text, choice.finish_reason, usage.prompt_tokens, usage.completion_tokens)


def _streamed_completion(both: Twins, number: int, hear: Hear) -> Told:
    texts, names, finish, usage = [], set(), None, None
    with both.openai() as client:
        raw = client.completions.with_raw_response.create(**_completion(number), stream=True)
        for chunk in raw.parse():
            names.add(chunk.id)
            usage = chunk.usage or usage
            finish = chunk.choices[0].finish_reason or finish
            if text := chunk.choices[0].text:
                texts.append(text)
                hear(raw.headers["x-llamaq-worker"], len(texts))
    assert usage
    counts = usage.prompt_tokens, usage.completion_tokens
    return Told("".join(texts), finish, *counts, names=len(names))


STREAMS: Mapping[str, Stream] = {
    "completions": Stream(_whole_completion, _streamed_completion),
}
