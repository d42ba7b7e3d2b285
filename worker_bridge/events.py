"""Reads llama-server's events as bytes: parses only what it must, and passes the rest on as it is.

Looking for `"key":` in the bytes is safe: inside a JSON string every quote has a backslash in
front of it.
"""

import json
import re
from enum import Enum, auto
from typing import NamedTuple

from dispatcher.cost import Usage
from dispatcher.job import Want
from dispatcher.joined_text import COMPLETION_HEAD, HEAD

_TOKENS = re.compile(rb'"predicted_n":(\d+)')
_TIMINGS = re.compile(rb',"timings":\{[ -z]*\}')  # no braces: [^{}] takes twice as long
_PROGRESS = re.compile(rb',"prompt_progress":\{[ -z]*\}')
_SAYS_SOMETHING = re.compile(rb'"(?:reasoning_)?content":"(?!")|"tool_calls":\[')
_TOTAL = re.compile(rb'"total":(\d+)')
_PROCESSED = re.compile(rb'"processed":(\d+)')
_HEADS_OF_TEXT = (
    HEAD + b'content":"',
    HEAD + b'reasoning_content":"',
    HEAD + b'role":"assistant","content":',
    COMPLETION_HEAD,
)
_PROMPT_PROGRESS = b'"prompt_progress":{'
_UNFINISHED = b'"finish_reason":null'
_FINISHED = b'"finish_reason":"'
_NO_TEXT = COMPLETION_HEAD + b'"'
_NO_DELTA = b'"delta":{}'


class Type(Enum):
    """What an event is for."""

    CHUNK = auto()  # a part of the answer
    LAST = auto()  # the chunk that ends the answer: only usage follows
    PROGRESS = auto()  # how far the prompt is
    USAGE = auto()  # the token counts at the end
    DONE = auto()
    ERROR = auto()
    NOTHING = auto()  # a comment


class Event(NamedTuple):
    """One event: its type, and the tokens that the text so far stands for.

    They are 0 where it doesn't say, and where it holds its token back: that may be half a character
    or the beginning of a stop string.
    """

    type: Type
    tokens: int = 0


def read_event(event: bytes) -> Event:
    """What kind of event this is.

    >>> read_event(b"data: [DONE]").type
    <Type.DONE: 5>
    """
    if event == b"data: [DONE]":
        return Event(Type.DONE)
    if not event.startswith(b"data:"):
        return Event(Type.NOTHING)
    if event.startswith(b'data: {"error"'):
        return Event(Type.ERROR)
    if event.find(_PROMPT_PROGRESS) >= 0:  # cheaper than `in`
        return Event(Type.PROGRESS)
    if event.find(b'"choices":[]') >= 0:
        type_ = Type.USAGE
    elif event.find(_UNFINISHED) < 0:
        type_ = Type.LAST
    elif event.startswith(_NO_TEXT) or event.find(_NO_DELTA) >= 0:
        return Event(Type.CHUNK)
    else:
        type_ = Type.CHUNK
    found = _TOKENS.search(event)
    return Event(type_, int(found[1]) if found else 0)


def end_of_text(events: bytes, start: int) -> int:
    """The end of the run of chunks at `start` that surely have text only, as most events do.

    The first chunk, which says who speaks, counts as one.

    >>> text = b'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"a"}}]}'
    >>> end_of_text(text + b"\\n\\ndata: [DONE]\\n\\n", 0) == len(text) + 2
    True
    >>> end_of_text(b"data: [DONE]\\n\\n", 0)
    0
    """
    end = start
    while events.startswith(_HEADS_OF_TEXT, end):  # a third of the time of a regular expression
        line = events.find(b"\n", end)
        if not events.startswith(b"\n", line + 1):
            break
        end = line + 2
    if events.startswith(COMPLETION_HEAD, start):  # any of its chunks begins so
        end = _before(_NO_TEXT, events, start, _before(_FINISHED, events, start, end))
    if events.find(_PROMPT_PROGRESS, start, end) < 0:
        return end
    return _before(_PROMPT_PROGRESS, events, start, end)


def _before(words: bytes, events: bytes, start: int, end: int) -> int:
    """The start of the first event with these words."""
    at = events.find(words, start, end)
    return end if at < 0 else max(start, events.rfind(b"\n", start, at) + 1)


def without_timings(events: bytes) -> bytes:
    """Events as they are for a client that asked for no timings."""
    return _TIMINGS.sub(b"", events)


def last_count(events: bytes) -> tuple[int, int]:
    """The tokens that the last event with a count tells (0 without one), and where it begins.

    >>> last_count(b'data: {"timings":{"predicted_n":4}}\\n\\ndata: {}\\n\\n')
    (4, 0)
    """
    at = events.rfind(b'"predicted_n":')
    found = _TOKENS.match(events, at) if at >= 0 else None
    return (int(found[1]), events.rfind(b"\n", 0, at) + 1) if found else (0, 0)


def without_comments(event: bytes) -> bytes:
    """An event without its comments. No blank line need follow a comment.

    >>> without_comments(b":\\ndata: {}")
    b'data: {}'
    """
    return b"\n".join(line for line in event.split(b"\n") if not line.startswith(b":"))


def has_usage(event: bytes) -> bool:
    """Whether it tells the tokens of the whole answer."""
    return event.find(b'"usage":{') >= 0


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
    return event if Want.TIMINGS in wants else without_timings(event)


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
