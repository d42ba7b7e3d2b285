"""Failures as Anthropic's clients are told of them. Pure."""

from collections.abc import Mapping
from typing import Any

from api.errors import ApiError

_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def error_body(error: ApiError, request_id: str) -> dict[str, Any]:
    """Anthropic's error object. `code` and `param` say more than Anthropic's types do."""
    other = "api_error" if error.status >= 500 else "invalid_request_error"
    told = {
        "type": _TYPES.get(error.status, other),
        "message": error.message,
        "code": error.code,
        "param": error.param,
    }
    said = {name: value for name, value in told.items() if value is not None}
    return {"type": "error", "error": said, "request_id": request_id}
