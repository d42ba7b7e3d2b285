"""What an endpoint tells of one question, whole or as a stream. One row for each endpoint."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from anthropic import Anthropic

from testing.builders import make_token
from testing.tiny_ear import sound
from testing.twins import ALIAS, Twins

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


def _response(number: int) -> dict[str, Any]:
    return {
        **{"model": ALIAS, "input": f"Tell me story number {number}.", "temperature": 0},
        **{"max_output_tokens": TOKENS, "extra_body": {"ignore_eos": True}},
    }


def _told_response(answer: Any, text: str, names: int = 1) -> Told:
    reason, usage = answer.incomplete_details.reason, answer.usage
    return Told(text, reason, usage.input_tokens, usage.output_tokens, names)


def _whole_response(both: Twins, number: int) -> Told:
    with both.openai() as client:
        answer = client.responses.create(**_response(number))
    return _told_response(answer, answer.output_text)


def _streamed_response(both: Twins, number: int, hear: Hear) -> Told:
    """Fails where the events are not those of one answer."""
    texts, events = list[str](), list[Any]()
    with both.openai() as client:
        raw = client.responses.with_raw_response.create(**_response(number), stream=True)
        for event in raw.parse():
            events.append(event)
            if event.type == "response.output_text.delta":
                texts.append(event.delta)
                hear(raw.headers["x-llamaq-worker"], len(texts))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    types = [name.removeprefix("response.") for name, _ in groupby(e.type for e in events)]
    assert types == [
        *("created", "in_progress", "output_item.added", "content_part.added"),
        *("output_text.delta", "output_text.done", "content_part.done", "output_item.done"),
        "incomplete",
    ]
    answer = events[-1].response
    assert answer.output_text == "".join(texts)
    items = {event.item_id for event in events if hasattr(event, "item_id")}
    return _told_response(answer, answer.output_text, len(items))


def _message(number: int) -> dict[str, Any]:
    asked = [{"role": "user", "content": f"Tell me story number {number}."}]
    extra = {"temperature": 0, "ignore_eos": True}
    return {"model": ALIAS, "messages": asked, "max_tokens": TOKENS, "extra_body": extra}


def _told_message(text: str, reason: Any, prompt: Any, made: int, names: int = 1) -> Told:
    tokens = prompt.input_tokens + prompt.cache_read_input_tokens
    return Told(text, reason, tokens, made, names)


def _whole_message(both: Twins, number: int) -> Told:
    with _anthropic(both) as client:
        answer = client.messages.create(**_message(number))
    (block,), usage = answer.content, answer.usage
    assert block.type == "text"
    return _told_message(block.text, answer.stop_reason, usage, usage.output_tokens)


def _streamed_message(both: Twins, number: int, hear: Hear) -> Told:
    """Fails where the events are not those of one message."""
    texts, events = list[str](), list[Any]()
    with _anthropic(both) as client:
        raw = client.messages.with_raw_response.create(**_message(number), stream=True)
        for event in raw.parse():
            events.append(event)
            if event.type == "content_block_delta":
                texts.append(event.delta.text)
                hear(raw.headers["x-llamaq-worker"], len(texts))
    start, begun, *_, ended, last, stop = events
    assert [event.type for event in (start, begun, ended, last, stop)] == [
        *("message_start", "content_block_start", "content_block_stop"),
        *("message_delta", "message_stop"),
    ]
    assert len(events) == len(texts) + 5
    blocks = {event.index for event in events[1:-2]}
    made = last.usage.output_tokens
    text, reason = "".join(texts), last.delta.stop_reason
    return _told_message(text, reason, start.message.usage, made, len(blocks))


def _anthropic(both: Twins) -> Anthropic:
    return Anthropic(base_url=both.url, api_key=make_token(), max_retries=0, timeout=120)


def _native(number: int) -> dict[str, Any]:
    text = f"Once upon a time, in story number {number},"
    prompts = (text, list(text.encode()), [*text.encode()[:9], text[9:]])
    return {
        **{"model": ALIAS, "prompt": prompts[number % len(prompts)], "temperature": 0},
        **{"n_predict": TOKENS, "ignore_eos": True, "n_probs": number % 2},
    }


def _told_native(last: Mapping[str, Any], text: str, tokens: list[int]) -> Told:
    assert len(tokens) == last["tokens_predicted"], "a token was told twice, or not at all"
    counts = last["tokens_evaluated"], last["tokens_predicted"]
    return Told(text, last["stop_type"], *counts)


def _whole_native(both: Twins, number: int) -> Told:
    with both.http() as client:
        body = _native(number) | {"return_tokens": True}
        answer = client.post("/completion", json=body).raise_for_status().json()
    return _told_native(answer, answer["content"], answer["tokens"])


def _streamed_native(both: Twins, number: int, hear: Hear) -> Told:
    texts, tokens, event = list[str](), list[int](), dict[str, Any]()
    body = _native(number) | {"stream": True}
    with both.http() as client, client.stream("POST", "/completion", json=body) as answer:
        for line in answer.iter_lines():
            if not line.startswith("data: "):
                continue
            event = json.loads(line.removeprefix("data: "))
            tokens += event["tokens"]
            if text := event["content"]:
                texts.append(text)
                hear(answer.headers["x-llamaq-worker"], len(texts))
    return _told_native(event, "".join(texts), tokens)


def _transcription(number: int) -> dict[str, Any]:
    file = ("a.wav", sound(0.1 + number % 10 / 10))
    extra = {"max_tokens": TOKENS, "ignore_eos": True}
    return {"model": ALIAS, "file": file, "temperature": 0, "extra_body": extra}


def _whole_transcription(both: Twins, number: int) -> Told:
    with both.openai() as client:
        answer = client.audio.transcriptions.create(**_transcription(number))
    return Told(answer.text, None, answer.usage.input_tokens, answer.usage.output_tokens)


def _streamed_transcription(both: Twins, number: int, hear: Hear) -> Told:
    """Fails where the last event does not have the text of the others."""
    texts, last = list[str](), None
    with both.openai() as client:
        asked = client.audio.transcriptions.with_raw_response
        raw = asked.create(**_transcription(number), stream=True)
        for last in raw.parse():
            if last.type == "transcript.text.delta":
                texts.append(last.delta)
                hear(raw.headers["x-llamaq-worker"], len(texts))
    assert last
    assert last.text == "".join(texts)
    return Told(last.text, None, last.usage.input_tokens, last.usage.output_tokens)


STREAMS: Mapping[str, Stream] = {
    "completion": Stream(_whole_native, _streamed_native),
    "completions": Stream(_whole_completion, _streamed_completion),
    "messages": Stream(_whole_message, _streamed_message),
    "responses": Stream(_whole_response, _streamed_response),
    "transcriptions": Stream(_whole_transcription, _streamed_transcription),
}
