"""Bodies that come packed (RFC 9110 §8.4). Pure."""

import zlib
from collections.abc import Mapping

from api.body import too_large
from api.errors import ApiError, bad_request
from api.refusal import CLOSE

_GZIP = frozenset({"gzip", "x-gzip"})
_SIZE_BYTES = 4
_WITH_HEADER = 31  # zlib: gzip alone, with the largest window


def is_packed(headers: Mapping[str, str]) -> bool:
    """Whether a request's body is packed by gzip. `ApiError` 415 for another coding.

    The names in `headers` are in lower case.
    """
    coding = headers.get("content-encoding", "").strip().lower()
    if coding in ("", "identity"):
        return False
    if coding in _GZIP:
        return True
    raise ApiError(
        415,
        f"A body with the Content-Encoding {coding[:64]!r} can't be read: send it as it is, or "
        "packed by gzip.",
        type="invalid_request_error",
        code="unsupported_content_encoding",
        headers={**CLOSE, "Accept-Encoding": "gzip, identity"},
    )


def unpacked_bytes(packed: bytes, limit: int) -> int:
    """How many bytes a body has, as it tells itself. `ApiError` 413 for more than `limit`."""
    size = int.from_bytes(packed[-_SIZE_BYTES:], "little")
    if size > limit:
        error = too_large(limit)
        error.headers.clear()  # there is no rest to spare
        raise error
    return size


def unpacked(packed: bytes, size: int) -> bytes:
    """The body, which has `size` bytes, or an `ApiError` 400. It never takes more memory.

    >>> import gzip
    >>> packed = gzip.compress(b"{}")
    >>> unpacked(packed, unpacked_bytes(packed, limit=2))
    b'{}'
    """
    reader = zlib.decompressobj(_WITH_HEADER)
    try:
        body = reader.decompress(packed, size + 1)
    except zlib.error as error:
        raise _damaged() from error
    if len(body) != size or not reader.eof or reader.unused_data:
        raise _damaged()
    return body


def _damaged() -> ApiError:
    return bad_request(
        "The body is not valid gzip: pack it again, as one part, or send it as it is."
    )
