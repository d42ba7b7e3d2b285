"""Whole answers to requests that never reach the app. They are made once."""

from api.errors import ApiError
from api.refusal import CLOSE, overloaded, whole_answer

MOST_HEAD_BYTES = 64 * 1024
MOST_HEADERS = 128
LARGE_HEAD_BYTES = 8 * 1024
"""Most clients send less. The headers of those that send more share a limited memory."""

BODY_BYTES_S = 1024
"""A body comes no slower than this, after some seconds of patience."""


REASONS: dict[bytes, tuple[int, str]] = {}
"""The status and the code of each of these answers."""


def _answer(status: int, message: str, code: str) -> bytes:
    kind = "timeout_error" if status == 408 else "invalid_request_error"
    return _prepared(ApiError(status, message, type=kind, code=code, headers=CLOSE))


def _prepared(error: ApiError) -> bytes:
    answer = whole_answer(error)
    REASONS[answer] = error.status, error.code or ""
    return answer


TOO_LARGE = _answer(
    431,
    f"The headers are larger than {MOST_HEAD_BYTES} bytes, or more than {MOST_HEADERS}: send less.",
    "headers_too_large",
)
_CROWDED = overloaded(5.0)
_CROWDED.headers.update(CLOSE)
CROWDED = _prepared(_CROWDED)
TOO_SLOW = _answer(
    408,
    "The request came too slowly: send its headers within seconds, and its body with "
    f"{BODY_BYTES_S} bytes a second or more.",
    "request_too_slow",
)
NOT_HTTP = _answer(
    400, "This is no valid HTTP/1.1 request: check what your client sends.", "invalid_http"
)
NO_TLS = _answer(
    400, "This API speaks HTTPS: write https:// in place of http://.", "https_required"
)
WRONG_HOST = _answer(
    400, "A request needs exactly one `Host` header: check what your client sends.", "invalid_host"
)
