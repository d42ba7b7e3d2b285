"""Requests for every endpoint: sensible ones, which were then spoilt."""

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from api.endpoints import ENDPOINTS
from testing.builders import BOUNDARY, make_form
from tests.fuzz.values import ODD, cut_up, spoilt

JSON = "application/json"
_PNG = "data:image/png;base64," + "A" * 64
_SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string", "pattern": "^a+$"}, "b": {"$ref": "#/$defs/x"}},
    "required": ["a"],
    "$defs": {"x": {"anyOf": [{"type": "integer"}, {"enum": ["u", 2, None]}]}},
}
_FUNCTION = {"name": "look", "description": "Looks.", "parameters": _SCHEMA}
_CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a": "b"}'}}
_SAMPLING = {
    **{"max_tokens": 8, "temperature": 0.5, "top_p": 0.9, "top_k": 40, "seed": 1, "stop": ["x"]},
    **{"logit_bias": {"97": 1}, "repeat_last_n": 64, "samplers": ["top_k", "temperature"]},
    **{"stream": True, "stream_options": {"include_usage": True}, "n": 2, "user": "u1"},
    **{"service_tier": "auto", "prompt_cache_key": "k", "metadata": {"user_id": "u"}},
}
_CHAT = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": _PNG, "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
            ],
        },
        {"role": "assistant", "content": None, "tool_calls": [_CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "4"},
        {"role": "user", "content": "And now?"},
    ],
    "tools": [{"type": "function", "function": _FUNCTION}],
    "tool_choice": "auto",
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": _SCHEMA}},
    "chat_template_kwargs": {"enable_thinking": False},
    "logprobs": True,
    "top_logprobs": 2,
    "grammar": 'root ::= "a" [b-z]* ("c" | d){1,3}\nd ::= "d"',
    "json_schema": _SCHEMA,
}
_RESPONSES = {
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "4"},
        {"role": "user", "content": [{"type": "input_image", "image_url": _PNG}]},
    ],
    "instructions": "Be brief.",
    "tools": [{"type": "function", **_FUNCTION}],
    "text": {"format": {"type": "json_schema", "name": "n", "schema": _SCHEMA}},
    "reasoning": {"effort": "low"},
    "max_output_tokens": 8,
    "tool_choice": "auto",
}
_MESSAGES = {
    "max_tokens": 8,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm", "signature": ""},
                {"type": "tool_use", "id": "c1", "name": "look", "input": {"a": "b"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "c1",
                    "content": [{"type": "text", "text": ""}],
                },
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
                },
            ],
        },
    ],
    "tools": [{"name": "look", "input_schema": _SCHEMA}],
    "tool_choice": {"type": "auto"},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "stop_sequences": ["x"],
}
_PROMPT = {"prompt": "Hi", "suffix": "", "echo": False, "logprobs": 1}
_INFILL = {
    **{"input_prefix": "def f(", "input_suffix": "\n", "prompt": "x"},
    "input_extra": [{"filename": "a.py", "text": "b"}],
}
_EMBEDDINGS = {"input": ["Hi", "there", [1, 2]], "encoding_format": "base64", "user": "u1"}
_RERANK = {"query": "Hi", "documents": ["a", "b"], "top_n": 1, "return_documents": True}
_SIDE = {"content": "Hi", "with_pieces": True, "tokens": [1, 2], "add_special": True}
_BY_WORD: Sequence[tuple[str, Mapping[str, Any]]] = (
    *(("responses", _RESPONSES | _SAMPLING), ("messages", _MESSAGES | _SAMPLING)),
    *(("apply-template", _CHAT), ("input_tokens", _CHAT), ("chat", _CHAT | _SAMPLING)),
    *(("infill", _INFILL | _SAMPLING), ("completion", _PROMPT | _SAMPLING)),
    *(("embedding", _EMBEDDINGS), ("rank", _RERANK), ("token", _SIDE)),
)
_FORM = {
    **{"model": "tiny", "language": "en", "prompt": "Hi", "response_format": "json"},
    **{"temperature": "0.5", "stream": "true", "timestamp_granularities[]": "word"},
}
_WAV = (
    b"RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x80\x3e\0\0\0\x7d\0\0\2\0\x10\0data\x40\0\0\0"
    + bytes(64)
)
DOORS = [(door, each) for each in ENDPOINTS for door in (each.path, *each.also)]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of a tenant with a good token."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@st.composite
def requests(draw: st.DrawFn) -> Asked:
    """One to any door."""
    path, endpoint = draw(st.sampled_from(DOORS))
    headers = {"Content-Type": endpoint.media_type}
    if endpoint.media_type == JSON:
        body = draw(_json_bodies(path, sorted(endpoint.fields)))
    else:
        headers["Content-Type"] += f"; boundary={draw(st.sampled_from([BOUNDARY, '', 'x' * 80]))}"
        body = draw(_forms())
    if draw(st.integers(0, 9)) == 0:
        body = draw(cut_up(body))
    if draw(st.integers(0, 19)) == 0:
        coding, body = draw(st.sampled_from(_packed(body)))
        headers["Content-Encoding"] = coding
    if draw(st.integers(0, 19)) == 0:
        headers |= draw(st.dictionaries(st.sampled_from(_HEADERS), st.sampled_from(_VALUES)))
    return Asked(path, headers, body)


_NEEDED = frozenset(
    {
        *("messages", "input", "prompt", "query", "documents", "max_tokens", "tokens"),
        *("content", "input_prefix", "input_suffix"),
    }
)
_HEADERS = (
    *("Content-Type", "Accept", "Accept-Encoding", "x-llamaq-supersede", "X-OpenWebUI-User-Id"),
    *("Idempotency-Key", "Origin", "anthropic-version", "X-Forwarded-For", "x-api-key"),
)
_VALUES = "", "a", "text/plain", "*/*;q=x", "x" * 300, "a, b", '"', "\xff", "1e9", "gzip;q=0"


@st.composite
def _json_bodies(draw: st.DrawFn, path: str, fields: Sequence[str]) -> bytes:
    good = next(fields for word, fields in _BY_WORD if word in path)
    # Most of what is there must be sensible, or only the first check of many is ever reached.
    kept = draw(st.sets(st.sampled_from(sorted(good)), max_size=4))
    asked: Any = {"model": "tiny"}
    asked |= {name: good[name] for name in good if name in _NEEDED or name in kept}
    for _ in range(draw(st.integers(0, 2))):
        asked = draw(spoilt(asked))
        if not isinstance(asked, dict):
            break
    if isinstance(asked, dict) and fields and draw(st.integers(0, 2)) == 0:
        asked = {**asked, draw(st.sampled_from(fields)): draw(ODD)}
    return json.dumps(asked).encode()


@st.composite
def _forms(draw: st.DrawFn) -> bytes:
    fields = {name: _FORM[name] for name in draw(st.sets(st.sampled_from(sorted(_FORM))))}
    values = st.sampled_from(["", "tiny", "x" * 300, "1e400", "[]", "\x00", "é"])
    names = st.sampled_from([*_FORM, "", "x", "file", "a[]"])
    fields |= draw(st.dictionaries(names, values, max_size=2))
    return make_form(fields, file=draw(cut_up(_WAV)))


def _packed(body: bytes) -> list[tuple[str, bytes]]:
    whole = gzip.compress(body)
    return [
        *(("gzip", whole), ("gzip", whole[:-3]), ("gzip", whole + whole), ("gzip", body)),
        *(("gzip", whole + b"x"), ("x-gzip", whole), ("gzip, gzip", gzip.compress(whole))),
        *(("deflate", zlib.compress(body)), ("identity", body), ("br", body), ("", body)),
    ]


@st.composite
def sensible(draw: st.DrawFn) -> Asked:
    """One that is served, streamed or not."""
    path, endpoint = draw(st.sampled_from(DOORS))
    streams = draw(st.booleans())
    if endpoint.media_type != JSON:
        form = {"model": "tiny", "stream": "true" if streams else "false"}
        headers = {"Content-Type": f"{endpoint.media_type}; boundary={BOUNDARY}"}
        return Asked(path, headers, make_form(form, file=_WAV))
    good = next(fields for word, fields in _BY_WORD if word in path)
    asked = {"model": "tiny"} | {name: good[name] for name in good if name in _NEEDED}
    if "stream" in good:
        options = draw(st.sampled_from([{}, {}, {"n": 2}, {"tools": good.get("tools", [])}]))
        asked |= {"stream": streams} | options
    return Asked(path, {"Content-Type": JSON}, json.dumps(asked).encode())
