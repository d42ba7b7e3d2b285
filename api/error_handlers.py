"""Makes the app answer with OpenAI error objects, whatever goes wrong."""

import logging
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import ApiError, crash, from_llamaq
from api.paths import asked_path
from dispatcher.errors import LlamaqError

log = logging.getLogger(__name__)

ADVICE: Mapping[int, str] = {
    404: "Nothing is at {path}: see /v1/models and /v1/chat/completions.",
    405: "{path} does not take {method}: use {allowed}.",
}


def install_error_handlers(app: FastAPI) -> None:
    """Answer every failure of `app` with an OpenAI error object; log crashes once."""
    app.exception_handler(ApiError)(_api_error)
    app.exception_handler(LlamaqError)(_llamaq_error)
    app.exception_handler(HTTPException)(_http_exception)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(ClientDisconnect)(_client_gone)
    app.add_middleware(CrashGuard)


def request_id(scope: Scope) -> str:
    """The id that a middleware has put into `request.state.request_id`."""
    return str(scope.get("state", {}).get("request_id", "unknown"))


class CrashGuard:
    """Logs what no handler took and answers 500, or cuts an answer that had begun."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started = False

        async def noting_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, noting_send)
        except Exception:
            log.exception("request %s crashed", request_id(scope))
            if not started:
                await crash(request_id(scope)).response()(scope, receive, send)
        return None


def _api_error(request: Request, error: ApiError) -> JSONResponse:
    return error.response()


def _llamaq_error(request: Request, error: LlamaqError) -> JSONResponse:
    found = from_llamaq(error, request_id(request.scope))
    if found.status == 500:
        log.error("request %s crashed", request_id(request.scope), exc_info=error)
    return found.response()


def _http_exception(request: Request, error: HTTPException) -> JSONResponse:
    advice = ADVICE.get(error.status_code)
    allowed = ", ".join(sorted((error.headers or {}).get("Allow", "").split(", ")))
    where = {"path": asked_path(request.scope), "method": request.method, "allowed": allowed}
    return ApiError(
        error.status_code,
        advice.format_map(where) if advice else error.detail,
        type="invalid_request_error" if error.status_code < 500 else "server_error",
        code={404: "not_found", 405: "method_not_allowed"}.get(error.status_code),
        headers={**(error.headers or {}), **({"Allow": allowed} if allowed else {})},
    ).response()


def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return ApiError(
        422,
        f"{where}: {first['msg']}",
        type="invalid_request_error",
        code="invalid_request",
        param=where,
    ).response()


def _client_gone(request: Request, error: ClientDisconnect) -> JSONResponse:
    return ApiError(
        400,
        "The connection closed before the whole body was here.",
        type="invalid_request_error",
        code="client_disconnected",
    ).response()
