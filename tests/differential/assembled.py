"""Answers as they can be compared: streams put together, without what no two answers share."""

import json
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from struct import unpack
from typing import Any

Json = dict[str, Any]

# Names, times, and what of a prompt was in the cache: two requests of one server differ in them.
NEVER_ALIKE = frozenset(
    {
        *("id", "call_id", "item_id", "created", "created_at", "completed_at", "timings"),
        *("id_slot", "prompt_tokens_details", "input_tokens_details", "cache_read_input_tokens"),
        *("tokens_cached", "tokens_evaluated_cached"),
    }
)


def whole(body: bytes) -> Any:
    """An answer of one JSON value."""
    return comparable(json.loads(body))


def streamed(form: str, body: bytes) -> Any:
    """A stream as one value; `form` says of which kind its events are."""
    events = list(_events(body))
    told = _FORMS[form]([data for _, data in events if isinstance(data, dict)])
    told["errors"] = [data["error"] for _, data in events if data and "error" in data]
    told["names"] = [name for name, _ in groupby(name for name, _ in events) if name != "ping"]
    return comparable(told)


def comparable(value: Any) -> Any:
    """The value without what is `NEVER_ALIKE`; what Anthropic counts has the cached part, too."""
    if isinstance(value, list):
        return [comparable(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {name: comparable(each) for name, each in value.items() if name not in NEVER_ALIKE}
    if isinstance(kept.get("embedding"), str):
        kept["embedding"] = {"base64": _floats(kept["embedding"])}
    if "cache_read_input_tokens" in value:
        kept["input_tokens"] += value["cache_read_input_tokens"]
    return kept


def _floats(text: str) -> list[float]:
    numbers = b64decode(text, validate=True)
    return list(unpack(f"<{len(numbers) // 4}f", numbers))


def _events(body: bytes) -> Iterator[tuple[str, Any]]:
    """Each event with its name; `None` for the `[DONE]` at the end."""
    name = ""
    for line in body.decode().split("\n"):
        if line.startswith("event:"):
            name = line.removeprefix("event:").strip()
        elif line.startswith("data:"):
            data = line.removeprefix("data:").strip()
            yield ("[DONE]", None) if data == "[DONE]" else (name, json.loads(data))
            name = ""


def _chunks(events: Sequence[Json]) -> Json:
    choices: dict[int, Json] = {}
    told: Json = {"choices": choices}
    for event in events:
        told |= {name: event[name] for name in ("model", "object") if event.get(name)}
        told_of = told
        for choice in event.get("choices", ()):
            told_of = choices.setdefault(choice["index"], {})
            _add_choice(told_of, choice)
        if event.get("usage"):
            told_of["usage"] = event["usage"]
    told["choices"] = [{"index": index, **said} for index, said in sorted(choices.items())]
    return told


def _add_choice(said: Json, choice: Json) -> None:
    delta = dict(choice["delta"] if "delta" in choice else {"text": choice["text"]})
    for call in delta.pop("tool_calls", ()):
        calls = said.setdefault("tool_calls", {})
        _add(calls.setdefault(call["index"], {}), call["function"])
    role = delta.pop("role", None)
    if role:
        said["role"] = role
    _add(said, delta)
    if choice["finish_reason"]:
        said["finish_reason"] = choice["finish_reason"]
    tokens = (choice.get("logprobs") or {}).get("content", [])
    said["logprobs"] = _joined(said.get("logprobs", []), tokens)


def _add(said: Json, texts: Mapping[str, str | None]) -> None:
    for name, text in texts.items():
        if text:
            said[name] = said.get(name, "") + text


def _joined(before: list[Any], more: Sequence[Any]) -> list[Any]:
    return [*before, *more]


def _message(events: Sequence[Json]) -> Json:
    told: Json = {}
    blocks: dict[int, Json] = {}  # a server may tell the text of one that it has not begun
    for event in events:
        kind = event.get("type")
        if kind == "message_start":
            told["message"] = event["message"]
        elif kind == "content_block_start":
            blocks[event["index"]] = {"start": event["content_block"]}
        elif kind == "content_block_delta":
            delta = {name: text for name, text in event["delta"].items() if name != "type"}
            _add(blocks.setdefault(event["index"], {}), delta)
        elif kind == "message_delta":
            told["end"] = {"delta": event["delta"], "usage": event["usage"]}
    return {**told, "blocks": [block for _, block in sorted(blocks.items())]}


def _response(events: Sequence[Json]) -> Json:
    told: Json = {"deltas": {}}
    for event in events:
        if "delta" in event:
            _add(told["deltas"], {event["type"]: event["delta"]})
        if "response" in event:
            told["response"] = event["response"]
    return told


def _transcript(events: Sequence[Json]) -> Json:
    told: Json = {"deltas": {}}
    for event in events:
        if event.get("type") == "transcript.text.delta":
            _add(told["deltas"], {"text": event["delta"]})
        else:
            told["last"] = event
    return told


def _native(events: Sequence[Json]) -> Json:
    answers: dict[int, Json] = {}
    for event in events:
        if "prompt_progress" in event or "content" not in event:
            continue
        said = answers.setdefault(event.get("index", 0), {"content": "", "tokens": []})
        content, tokens = (
            said["content"] + event["content"],
            said["tokens"] + event.get("tokens", []),
        )
        odds = _joined(
            said.get("completion_probabilities", []), event.get("completion_probabilities", [])
        )
        said |= {**event, "content": content, "tokens": tokens, "completion_probabilities": odds}
    return {"answers": [answer for _, answer in sorted(answers.items())]}


_FORMS: Mapping[str, Callable[[Sequence[Json]], Json]] = {
    "chunks": _chunks,
    "message": _message,
    "response": _response,
    "native": _native,
    "transcript": _transcript,
}
