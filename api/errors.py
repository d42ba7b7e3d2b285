"""Every failure as an OpenAI error object with its HTTP status, from one table."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from api.sse import event
from dispatcher.errors import LlamaqError, QueueFull

if TYPE_CHECKING:
    from fastapi.responses import JSONResponse

MAX_RETRY_AFTER_S = 120  # OpenAI's clients wait for no longer
NO_RETRY: Mapping[str, str] = {"x-should-retry": "false"}  # OpenAI's clients obey it

# code -> (HTTP status, type, headers). A code that is not here is a bug: 500.
BY_CODE: Mapping[str, tuple[int, str, Mapping[str, str]]] = {
    "request_rejected": (400, "invalid_request_error", {}),
    "model_not_found": (404, "invalid_request_error", {}),
    "superseded": (409, "invalid_request_error", NO_RETRY),
    "slow_client": (408, "timeout_error", NO_RETRY),
    "queue_full": (429, "rate_limit_error", {"Retry-After": "5"}),
    "tenant_queue_full": (429, "rate_limit_error", {"Retry-After": "5"}),
    "worker_failed": (502, "server_error", NO_RETRY),
    "cancelled": (503, "server_error", {"Retry-After": "2"}),
    "cancelled_by_operator": (503, "server_error", NO_RETRY),
    "model_unavailable": (503, "server_error", {"Retry-After": "10"}),
    "redis_unavailable": (503, "server_error", {"Retry-After": "2"}),
    "deadline_exceeded": (504, "timeout_error", NO_RETRY),
}

# What a llama-server says about the request; all else it says is about itself.
LLAMA_STATUSES = frozenset({400, 413, 422, 500, 501})


# What a llama-server tells of a prompt that is too long.
_FIGURES = ("n_prompt_tokens", "n_ctx")


class ApiError(Exception):
    """A failure as the client sees it."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str,
        code: str | None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        # A worker may say half of a surrogate pair, which no UTF-8 has.
        self.message = message.encode(errors="replace").decode()
        self.type = type
        self.code = code
        self.param = param
        self.headers = dict(headers or {})
        self.figures: Mapping[str, int] = {}

    def body(self) -> dict[str, Any]:
        """OpenAI's error object, with the `figures` that a llama-server tells beside it."""
        error = {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code,
            **self.figures,
        }
        return {"error": error}

    def response(self) -> "JSONResponse":
        """The HTTP response that says it."""
        from fastapi.responses import JSONResponse  # slow to load: commands make tokens without it

        return JSONResponse(self.body(), self.status, self.headers)


def bad_request(message: str, *, param: str | None = None) -> ApiError:
    """A 400: `param` names the field, `message` says how to make it right."""
    return ApiError(400, message, type="invalid_request_error", code="invalid_request", param=param)


def unavailable(message: str, code: str, retry_s: int = 5) -> ApiError:
    """A 503: the client may try again after `retry_s` seconds."""
    headers = {"Retry-After": str(retry_s)}
    return ApiError(503, message, type="server_error", code=code, headers=headers)


def crash(request_id: str) -> ApiError:
    """A 500 that tells nothing but where to look in the log."""
    return ApiError(
        500,
        f"The server made a mistake. Its log says more about request {request_id}.",
        type="server_error",
        code="internal_error",
    )


def from_llamaq(error: LlamaqError, request_id: str) -> ApiError:
    """What went wrong in the queue, for the client. A code unknown to `BY_CODE` is a crash."""
    if error.code not in BY_CODE:
        return crash(request_id)
    status, kind, headers = BY_CODE[error.code]
    if isinstance(error, QueueFull):
        seconds = min(max(1, error.retry_after_s), MAX_RETRY_AFTER_S)
        headers = {**headers, "Retry-After": str(seconds)}
    return ApiError(status, error.message, type=kind, code=error.code, headers=headers)


def from_llama_server(status: int, body: bytes) -> ApiError:
    """A llama-server's error (its JSON `{"error": {code, message, type}}`), for the client.

    A status that tells of a misconfigured worker, such as 401, becomes 502.
    """
    error = _llama_error(body)
    message = error.get("message") or f"The model server answered {status} and no reason."
    kind = "server_error" if status >= 500 or status not in LLAMA_STATUSES else None
    shown = ApiError(
        status if status in LLAMA_STATUSES else 502,
        str(message),
        type=kind or "invalid_request_error",
        code=_llama_code(error, kind),
        headers=NO_RETRY if kind else None,
    )
    shown.figures = {name: error[name] for name in _FIGURES if isinstance(error.get(name), int)}
    return shown


def sse_error(error: ApiError) -> bytes:
    """The event that ends a stream that had begun; OpenAI's clients raise it as `APIError`."""
    return event(json.dumps(error.body()).encode())


ErrorForm = Callable[[ApiError, str], Mapping[str, Any]]
"""Makes the body of an error for the clients of an endpoint. The text is the request's id."""


def openai_error(error: ApiError, request_id: str) -> Mapping[str, Any]:
    """OpenAI's form: a header has the id."""
    return error.body()


OPENAI: ErrorForm = openai_error


def _llama_code(error: Mapping[str, Any], kind: str | None) -> str:
    if error.get("type") == "exceed_context_size_error":
        return "context_length_exceeded"
    return "model_server_error" if kind else "invalid_request"


def _llama_error(body: bytes) -> dict[str, Any]:
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return error if isinstance(error, dict) else {"message": error}
