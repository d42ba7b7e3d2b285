"""Root certificates: every new client of httpx reads them all, though it speaks no TLS here."""

import functools
import ssl
from typing import Any

_create = ssl.create_default_context


@functools.cache
def _read(cafile: str) -> ssl.SSLContext:
    return _create(cafile=cafile)


def _shared(*purpose: Any, **options: Any) -> ssl.SSLContext:
    is_of_a_client = not purpose and options.keys() == {"cafile"}
    return _read(**options) if is_of_a_client else _create(*purpose, **options)


def read_once() -> None:
    """From now on this process reads a file of them once: each time takes 30 ms of CPU."""
    ssl.create_default_context = _shared
