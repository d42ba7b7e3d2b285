"""The origins of web pages (RFC 6454), as an operator lists them. Pure."""

import re
from urllib.parse import urlsplit

ANY = "*"
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9._\[\]:-]+")
_USUAL_PORTS = {"http": 80, "https": 443}  # browsers leave them out


def read_origins(text: str) -> list[str]:
    """The origins in a list with commas, as browsers write them. Raises `ValueError`.

    >>> read_origins("https://Chat.example.org:443, app://notes")
    ['https://chat.example.org', 'app://notes']
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    return words if words == [ANY] else [_origin(word.lower()) for word in words]


def _origin(word: str) -> str:
    try:
        if not _ORIGIN.fullmatch(word):
            raise ValueError
        parts = urlsplit(word)
        usual = parts.port is not None and parts.port == _USUAL_PORTS.get(parts.scheme)
    except ValueError:
        raise ValueError(
            "must be *, or origins such as https://chat.example.org with commas between: scheme "
            "and host, a port where it is not the usual one, and nothing after it"
        ) from None
    return word.rpartition(":")[0] if usual else word
