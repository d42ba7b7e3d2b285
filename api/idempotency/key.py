"""The key that a client gives to a request, and what tells its request from others. Pure."""

import hashlib
from collections.abc import Mapping

from api.errors import ApiError, bad_request

KEY_HEADER = "idempotency-key"
MAX_KEY_CHARS = 255
_MOST_LINE_BYTES = 512


def read_key(headers: Mapping[str, str]) -> str:
    """The key, or an `ApiError` 400 that says what it may be. The names are in lower case."""
    key = headers[KEY_HEADER]
    if not 0 < len(key) <= MAX_KEY_CHARS or not (key.isascii() and key.isprintable()):
        raise bad_request(
            f"`Idempotency-Key` must have 1 to {MAX_KEY_CHARS} printable ASCII characters: send a "
            "new UUID for each request and the same one when you repeat it, or leave it out.",
            param="Idempotency-Key",
        )
    return key


def fingerprint_of(path: str, body: bytes) -> str:
    """What requests for the same have in common: the path of their endpoint, and their bytes.

    A form that is sent again has another boundary: its first line.

    >>> forms = [b"--%b\\r\\nhello\\r\\n--%b--\\r\\n" % (b, b) for b in (b"b1", b"b2")]
    >>> fingerprint_of("/a", forms[0]) == fingerprint_of("/a", forms[1])
    True
    """
    if body.startswith(b"--"):
        body = body.replace(body[:_MOST_LINE_BYTES].partition(b"\r\n")[0], b"--")
    found = hashlib.sha256(path.encode())
    found.update(b"\0")
    found.update(body)
    return found.hexdigest()


def key_reused() -> ApiError:
    """The 422 for another request with the same key."""
    return ApiError(
        422,
        "This `Idempotency-Key` belongs to another request, whose path or body differs. Send each "
        "request with a key of its own.",
        type="invalid_request_error",
        code="idempotency_key_reused",
        param="Idempotency-Key",
    )
