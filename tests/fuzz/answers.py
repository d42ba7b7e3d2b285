"""What workers answer at each endpoint: as a server does, and spoilt."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from dispatcher.frames import FROM_SCRIPT, Frame, Kind, pack
from tests.fuzz.values import NUMBERS, ODD, cut_up, spoilt

_CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
_USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
_PROGRESS = {"total": 9, "cache": 4, "processed": 4, "time_ms": 3}
_HEAD = {"id": "a", "created": 1, "model": "tiny", "object": "chat.completion.chunk"}


def _chunk(delta: Mapping[str, Any] | None, end: str | None = None, **more: Any) -> dict[str, Any]:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": end}]
    return {**_HEAD, "choices": choices, **more}


def _text(text: str, end: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": end}
    return {**_HEAD, "choices": [choice], "object": "text_completion"}


def _native(text: str, **more: Any) -> dict[str, Any]:
    counts = {"tokens_predicted": 1, "tokens_evaluated": 2, "index": 0, "id_slot": 0}
    return {"content": text, "tokens": [1], "stop": False, **counts, **more}


Events = Sequence[dict[str, Any]]

_CHAT: Events = (
    _chunk({"role": "assistant", "content": None}),
    _chunk({"reasoning_content": "Hm"}),
    _chunk({"content": "Hi"}, logprobs=None),
    _chunk({"tool_calls": [_CALL]}),
    _chunk({"content": " there"}),
    _chunk({}, "stop"),
    _chunk(None, usage=_USAGE, timings={"prompt_n": 3, "cache_n": 0, "predicted_n": 2}),
)
_COMPLETION: Events = (_text("Hi"), _text("", "stop"), _chunk(None, usage=_USAGE))
_NATIVE: Events = (
    _native("Hi"),
    _native("", stop=True, stop_type="eos", timings={"predicted_n": 1}, model="tiny"),
)
_EMBEDDINGS = {
    "object": "list",
    "data": [{"object": "embedding", "index": n, "embedding": [0.5, 1e-3]} for n in range(3)],
    "usage": {"prompt_tokens": 3, "total_tokens": 3},
}
_ARRAYS = [{"index": n, "embedding": [[0.5, 1e-3]]} for n in range(3)]
_RANKS = {
    "results": [{"index": n, "relevance_score": 0.5} for n in range(2)],
    "usage": {"prompt_tokens": 3, "total_tokens": 3},
}
_SIDES = {"tokens": [1, 2], "content": "Hi", "prompt": "Hi", "input_tokens": 3}
_BODIES: Mapping[str, Any] = {
    **dict.fromkeys(("tokenize", "template", "count_tokens", "input_tokens"), _SIDES),
    **{"/v1/embeddings": _EMBEDDINGS, "embedding": _ARRAYS, "rank": _RANKS},
}
_EVENTS: Mapping[str, Events] = {
    "/v1/completions": _COMPLETION,
    **dict.fromkeys(("completions", "completion", "infill"), _NATIVE),
}


def events_of(path: str) -> tuple[list[Any], bool]:
    """What a server says at this path, and whether it says it in events, and not in one piece."""
    if "chat/completions" not in path or "input_tokens" in path:
        for word, body in _BODIES.items():
            if word in path:
                return [body], False
        for word, events in _EVENTS.items():
            if word in path:
                return list(events), True
    return list(_CHAT), True


def payload(said: Any, *, is_event: bool) -> bytes:
    """As a server writes it."""
    text = json.dumps(said, separators=(",", ":")).encode()
    return b"data: " + text + b"\n\n" if is_event else text


def good_frames(path: str) -> list[Frame]:
    """A whole answer at this path."""
    said, is_event = events_of(path)
    chunks = [payload(one, is_event=is_event) for one in said]
    frames = [Frame(Kind.STARTED, 0, payload=b'{"worker": "w1", "queue_ms": 7, "build": "b1"}')]
    frames += [Frame(Kind.CHUNK, n + 1, n + 1, chunk) for n, chunk in enumerate(chunks)]
    return [*frames, Frame(Kind.DONE, len(frames), 2, json.dumps(_USAGE).encode())]


_ABOUT: Mapping[Kind, Any] = {
    Kind.STARTED: {"worker": "w1", "queue_ms": 7, "build": "b1"},
    Kind.DONE: _USAGE,
    Kind.REJECTED: {"status": 400, "body": '{"error":{"message":"no","type":"x","n_ctx":4}}'},
    Kind.FAILED: {"code": "worker_failed", "message": "It failed."},
    Kind.LOST: {"code": "worker_failed", "message": "It broke off."},
}


@st.composite
def frames_of(draw: st.DrawFn, path: str) -> list[bytes]:
    """Packed frames of one attempt, as a machine may send them that means no good."""
    frames = good_frames(path)
    said, is_event = events_of(path)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(frames) - 1))
        how = draw(st.integers(0, 6))
        if how == 0:
            del frames[at]
        elif how == 1:
            frames.insert(at, draw(_control(frames[at].seq)))
        elif how == 2:
            seq, tokens = draw(_counts()), draw(_counts())
            frames[at] = frames[at]._replace(seq=seq, tokens=tokens)
        elif how == 3 and frames[at].kind in _ABOUT:
            odd = draw(spoilt(_ABOUT[frames[at].kind]))
            frames[at] = frames[at]._replace(payload=json.dumps(odd).encode())
        elif how == 4:
            frames[at] = frames[at]._replace(payload=draw(cut_up(frames[at].payload)))
        else:
            odd = draw(spoilt(draw(st.sampled_from(said))) | ODD)
            frames[at] = frames[at]._replace(payload=payload(odd, is_event=is_event))
        if not frames:
            break
    cut = draw(st.integers(0, len(frames)))
    packed = [pack(part) for part in (frames[:cut], frames[cut:])]
    return [draw(cut_up(part)) for part in packed] if draw(st.integers(0, 9)) == 0 else packed


@st.composite
def _control(draw: st.DrawFn, seq: int) -> Frame:
    kind = draw(st.sampled_from(list(Kind)))
    said = draw(spoilt(_ABOUT[kind])) if kind in _ABOUT else draw(ODD)
    text = draw(st.sampled_from([b"", b"{}", b"\xff", json.dumps(said).encode()]))
    return Frame(kind, draw(st.sampled_from([seq, FROM_SCRIPT])), 0, text)


def _counts() -> st.SearchStrategy[int]:
    return NUMBERS.filter(lambda value: isinstance(value, int)) | st.integers(-2, 9)
