"""Chunks that hold nothing but text, as llama-server writes nearly all of them. Pure.

They are read without a JSON parser.
"""

import json
import re

from api.sse import DATA

TEXT = re.compile(
    re.escape(DATA) + rb'\{"choices":\[\{"finish_reason":null,"index":0,"delta":'
    rb'\{"(content|reasoning_content)":"'
    # No half of a surrogate pair, which may find its other half in the next chunk.
    rb'([^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*)'
    rb'"\}\}\],"'
)
"""Matches the beginning of such an event, up to its first name behind the choices.

Its groups are what the text belongs to, and the text as a JSON string without its quotes.
"""


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
