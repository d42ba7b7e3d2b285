"""Makes the app answer with OpenAI error objects, whatever goes wrong."""

import logging
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import Scope

from api.errors import ApiError, crash, from_llamaq
from api.paths import asked_path
from dispatcher.errors import LlamaqError

log = logging.getLogger("llamaq.api")

_PREFLIGHT = b"access-control-request-method"  # by which a browser asks for a page (CORS)
_FOR_PAGES = " For web pages, LLAMAQ_CORS_ORIGINS must name their origins."


def install_error_handlers(app: FastAPI) -> None:
    """Answer every failure of `app` with an OpenAI error object.

    The handlers are async: else each error would take a thread.
    """
    app.exception_handler(ApiError)(_api_error)
    app.exception_handler(LlamaqError)(_llamaq_error)
    app.exception_handler(HTTPException)(_http_exception)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(Exception)(_crash)


def request_id(scope: Scope) -> str:
    """The id that `api.edge` has given to a request."""
    return str(scope.get("state", {}).get("request_id", "unknown"))


def wrong_method(scope: Scope, headers: Mapping[str, str]) -> ApiError:
    """The error for a method that a path does not take; `headers` name those that it takes."""
    allowed = ", ".join(sorted(headers["Allow"].split(", ")))
    for_page = any(name == _PREFLIGHT for name, _ in scope["headers"])
    hint = _FOR_PAGES if for_page else ""
    return ApiError(
        405,
        f"{asked_path(scope)} does not take {scope['method']}: use {allowed}.{hint}",
        type="invalid_request_error",
        code="method_not_allowed",
        headers={**headers, "Allow": allowed},
    )


def _answer(request: Request, error: ApiError) -> JSONResponse:
    """The answer that says it; the log gets its code."""
    record = request.scope.get("state", {}).get("record")
    if record is not None:
        record.fail(error)
    return error.response()


async def _api_error(request: Request, error: ApiError) -> JSONResponse:
    return _answer(request, error)


async def _llamaq_error(request: Request, error: LlamaqError) -> JSONResponse:
    found = from_llamaq(error, request_id(request.scope))
    if found.status == 500:
        log.error("request %s crashed", request_id(request.scope), exc_info=error)
    return _answer(request, found)


async def _crash(request: Request, error: Exception) -> JSONResponse:
    return _answer(request, crash(request_id(request.scope)))  # `api.edge` logs it


async def _http_exception(request: Request, error: HTTPException) -> JSONResponse:
    headers = error.headers or {}
    if error.status_code == 405 and "Allow" in headers:
        return _answer(request, wrong_method(request.scope, headers))
    is_unknown = error.status_code == 404
    shown = ApiError(
        error.status_code,
        _nothing_at(asked_path(request.scope)) if is_unknown else error.detail,
        type="invalid_request_error" if error.status_code < 500 else "server_error",
        code="not_found" if is_unknown else None,
        headers=headers,
    )
    return _answer(request, shown)


def _nothing_at(path: str) -> str:
    return f"Nothing is at {path}: see /v1/models and /v1/chat/completions."


async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    shown = ApiError(
        422,
        f"{where}: {first['msg']}",
        type="invalid_request_error",
        code="invalid_request",
        param=where,
    )
    return _answer(request, shown)
