"""A text that grows part by part. Pure."""

import json


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

    def __bool__(self) -> bool:
        return bool(self.unread) or any(self._parts)

    def read(self) -> None:
        """Reads what is unread: one string takes less room than many parts."""
        if self.unread:
            self._parts.append(_plain(b"".join(self.unread)))
            self.unread.clear()


def _plain(text: bytes) -> str:
    """What a JSON string without its quotes says."""
    return str(json.loads(b'"' + text + b'"')) if b"\\" in text else text.decode()
