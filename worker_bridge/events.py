"""Reads llama-server's events as bytes: parses only what it must, and passes the rest on as it is.

Looking for `"key":` in the bytes is safe: inside a JSON string every quote has a backslash in
front of it.
"""

import json
import re
from dataclasses import dataclass
from enum import Enum, auto

from dispatcher.cost import Usage
from dispatcher.job import Want

_TOKENS = re.compile(rb'"predicted_n":(\d+)')
_TIMINGS = re.compile(rb',"timings":\{[^{}]*\}')
_PROGRESS = re.compile(rb',"prompt_progress":\{[^{}]*\}')
_SAYS_SOMETHING = re.compile(rb'"(?:reasoning_)?content":"(?!")|"tool_calls":\[')
_MODEL = re.compile(rb'"model":("(?:[^"\\]|\\.)*")')
_TOTAL = re.compile(rb'"total":(\d+)')
_PROCESSED = re.compile(rb'"processed":(\d+)')
_TEXT = (
    b'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"',
    b'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"reasoning_content":"',
)
_UNFINISHED = b'"finish_reason":null'


class Type(Enum):
    """What an event is for."""

    CHUNK = auto()  # a part of the answer
    PROGRESS = auto()  # how far the prompt is
    USAGE = auto()  # the token counts at the end
    DONE = auto()
    ERROR = auto()
    NOTHING = auto()  # a comment


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its type, and the tokens generated so far (0 where it doesn't say)."""

    type: Type
    tokens: int = 0


def read_event(event: bytes) -> Event:
    """What kind of event this is.

    >>> read_event(b"data: [DONE]").type
    <Type.DONE: 4>
    """
    if event == b"data: [DONE]":
        return Event(Type.DONE)
    if not event.startswith(b"data:"):
        return Event(Type.NOTHING)
    if event.startswith(b'data: {"error"'):
        return Event(Type.ERROR)
    if b'"prompt_progress":{' in event:
        return Event(Type.PROGRESS)
    found = _TOKENS.search(event)
    type_ = Type.USAGE if b'"choices":[]' in event else Type.CHUNK
    return Event(type_, int(found[1]) if found else 0)


def is_text(event: bytes) -> bool:
    """Whether this is surely a chunk of text and no more, as most events are.

    >>> is_text(b'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"a"}}]}')
    True
    """
    return event.startswith(_TEXT) and b"\n" not in event and b'"prompt_progress":{' not in event


def split_timings(event: bytes) -> tuple[bytes, int]:
    """A chunk of text without its timings, and the tokens that they count (0 without them).

    >>> split_timings(b'data: {"choices":[],"timings":{"predicted_n":4}}')
    (b'data: {"choices":[]}', 4)
    """
    at = event.find(b',"timings":{')
    if at < 0:
        return event, 0
    end = event.find(b"}", at)
    if event.find(b"{", at + 12, end) >= 0:
        return event, 0  # of a build to come
    found = _TOKENS.search(event, at, end)
    return event[:at] + event[end + 1 :], int(found[1]) if found else 0


def without_comments(event: bytes) -> bytes:
    """The lines of an event that are no comments; a comment needs no blank line behind it.

    >>> without_comments(b":\\ndata: {}")
    b'data: {}'
    """
    if not event.startswith(b":") and b"\n:" not in event:
        return event
    return b"\n".join(line for line in event.split(b"\n") if not line.startswith(b":"))


def model_of(event: bytes) -> bytes | None:
    """The model that an event names, as a JSON string with its quotes."""
    found = _MODEL.search(event)
    return found[1] if found else None


def prompt_is_done(progress: bytes) -> bool:
    """Whether this progress of a prompt is its last: what comes next is the first token."""
    total, processed = _TOTAL.search(progress), _PROCESSED.search(progress)
    return total is not None and processed is not None and int(total[1]) <= int(processed[1])


def for_client(event: bytes, type_: Type, wants: frozenset[Want]) -> bytes | None:
    """The event as its client asked to see it, or None for one that it did not ask for."""
    if type_ is Type.USAGE:
        return event if Want.USAGE in wants else None
    if type_ is Type.PROGRESS and Want.PROGRESS not in wants:
        if not _SAYS_SOMETHING.search(event):
            return None
        event = _PROGRESS.sub(b"", event)  # a chat template may begin the answer with it
    return event if Want.TIMINGS in wants else _TIMINGS.sub(b"", event)


def is_last(event: bytes, type_: Type) -> bool:
    """Whether this chunk ends the answer: only usage follows."""
    return type_ is Type.CHUNK and _UNFINISHED not in event


def with_timings_of(usage: bytes, chunk: bytes) -> bytes:
    """The last chunk with the timings of the usage event, where llama-server itself puts them for
    clients that ask for no usage.

    >>> with_timings_of(b'data: {"choices":[],"timings":{"prompt_n":1}}', b'data: {"choices":[{}]}')
    b'data: {"choices":[{}],"timings":{"prompt_n":1}}'
    """
    timings = _TIMINGS.search(usage)
    if timings is None or _TIMINGS.search(chunk) or not chunk.endswith(b"}"):
        return chunk
    return chunk[:-1] + timings[0] + b"}"


def usage_after(last: bytes, used: Usage) -> bytes:
    """The usage event that a server still owed when its connection ended after the `last` chunk."""
    usage = {
        "completion_tokens": used.completion,
        "prompt_tokens": used.prompt,
        "total_tokens": used.prompt + used.completion,
        "prompt_tokens_details": {"cached_tokens": used.cached},
    }
    chunk = json.loads(last.removeprefix(b"data: ")) | {"choices": [], "usage": usage}
    return b"data: " + json.dumps(chunk, ensure_ascii=False, separators=(",", ":")).encode()
