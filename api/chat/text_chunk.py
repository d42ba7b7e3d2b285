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


def joined(events: bytes) -> bytes:
    """The same whole events, but all text that lies side by side is in two of them.

    What it can't be sure of stays as it is.
    """
    if events.count(b"\n") < _FEW_LINES or (text := TEXT.search(events)) is None:
        return events
    begins = b'%b%b":"' % (_BEGINS, text[1])
    ends = events[text.end(2) : events.index(b"\n\n", text.end()) + 2]
    before, *inner = events.split(begins)
    if len(inner) < 2:
        return events
    last = inner.pop()  # nothing is known of it but how it begins
    texts = [one[: -len(ends)] for one in inner if one.endswith(ends)]
    said = b"".join(texts)
    if len(texts) < len(inner) or _STRING.fullmatch(said) is None or _is_cut(said, texts):
        return events
    return b"%b%b%b%b%b%b" % (before, begins, said, ends, begins, last)


def _is_cut(said: bytes, texts: list[bytes]) -> bool:
    """Whether a text may end within an escape."""
    return b"\\" in said and any(text.endswith(b"\\") for text in texts)


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
