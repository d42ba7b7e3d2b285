"""Chunks that hold nothing but text, as llama-server writes nearly all of them. Pure.

They are read without a JSON parser.
"""

import json
import re

from api.sse import DATA

_BEGINS = DATA + b'{"choices":[{"finish_reason":null,"index":0,"delta":{"'
_ENDS = b'"}}],"'
_FEW_LINES = 16
# No half of a surrogate pair, which may find its other half in the next chunk.
_STRING = re.compile(
    rb'[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*'
)
TEXT = re.compile(
    b'%b(content|reasoning_content)":"(%b)%b'
    % (re.escape(_BEGINS), _STRING.pattern, re.escape(_ENDS))
)
"""Matches the beginning of such an event, up to its first name behind the choices.

Its groups are what the text belongs to, and the text as a JSON string without its quotes.
"""

NAMES = re.compile(
    rb'created":\d+,"id":"[\w-]+","model":"(?:%b)","system_fingerprint":"[\w.-]+",'
    rb'"object":"chat\.completion\.chunk"\}' % _STRING.pattern
)
"""Matches what stands behind that in a chunk which only names its answer."""

_ROLE = _BEGINS + b'role":"assistant","content":null}}],"'


def names_role_alone(event: bytes) -> bool:
    """Whether it is the first chunk of an answer, which says only that the assistant speaks."""
    return event.startswith(_ROLE) and NAMES.fullmatch(event, len(_ROLE)) is not None


def joined(events: bytes) -> bytes:
    """The same whole events, but texts that lie side by side are one.

    What it can't be sure of stays as it is.
    """
    if events.count(b"\n") < _FEW_LINES or (text := TEXT.search(events)) is None:
        return events
    start, end = text.end(1) + len(b'":"'), text.end(2)
    ends = events[end : events.index(b"\n\n", end) + 2]
    seam = ends + events[text.start() : start]
    texts = events[end:].split(seam)
    merged = events[:end] + b"".join(texts)
    one = TEXT.match(merged, text.start())
    is_sure = (
        one is not None
        and merged.startswith(ends, one.end(2))
        and events.endswith(merged[one.end() :])  # no other event has taken a text
        and not (b"\\" in one[2] and _is_cut(events[start:end], texts))
    )
    return merged if is_sure else events


def _is_cut(first: bytes, others: list[bytes]) -> bool:
    """Whether a text may end within an escape."""
    return any(text.endswith(b"\\") for text in (first, *others[:-1]))


class Text:
    """A text that grows. Its parts come as strings, or as JSON strings without their quotes.

    The latter go into `unread`.
    """

    def __init__(self, start: str = "") -> None:
        self._parts = [start]
        self.unread: list[bytes] = []

    def add(self, part: str) -> None:
        """A part that was read."""
        if part:
            self.read()
            self._parts.append(part)

    def __str__(self) -> str:
        self.read()
        return "".join(self._parts)

    def read(self) -> None:
        """Reads what is unread: one string takes less room than many parts."""
        if self.unread:
            self._parts.append(_plain(b"".join(self.unread)))
            self.unread.clear()


def _plain(text: bytes) -> str:
    """What a JSON string without its quotes says."""
    return str(json.loads(b'"' + text + b'"')) if b"\\" in text else text.decode()
