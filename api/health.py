"""GET /health: the process lives. GET /ready: a request would be served. No token needed."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from api.auth import credentials
from api.context import Context, context_of
from api.errors import ApiError
from api.paths import READ
from dispatcher.errors import LlamaqError

router = APIRouter()
_OF_STRANGERS_S = 0.1  # they can't have Redis be asked more often


@router.api_route("/v1/health", methods=READ)
async def health() -> dict[str, str]:
    """Always 200 while the process answers."""
    return {"status": "ok"}


@router.api_route("/v1/ready", methods=READ)
async def ready(request: Request) -> JSONResponse:
    """200 when Redis takes jobs and a worker accepts them, else 503.

    Only who has a token is told of which models, or why none.
    """
    context = context_of(request)
    if _is_known(request, context):
        return JSONResponse({"status": "ready", "models": await _served(context)})
    try:
        await _served(context, _OF_STRANGERS_S)
    except (ApiError, LlamaqError) as error:
        raise _not_ready() from error
    return JSONResponse({"status": "ready"})


async def _served(context: Context, max_age_s: float = 0.0) -> list[str]:
    """The names of the models, as they were so lately. Raises why there are none."""
    directory = context.directory
    await directory.refresh(max_age_s)
    await context.queue.writes.check(max_age_s)
    names = sorted(name for name, state in directory.models.items() if state.accepting)
    if not names:
        raise _unready(
            "No worker accepts jobs: start a llama-server with a bridge beside it (llamaq bridge).",
            "no_worker",
        )
    return names


def _is_known(request: Request, context: Context) -> bool:
    """Whether a request has a token of ours. One without any is as good here as a bad one."""
    try:
        context.authenticator.authenticate(credentials(request.headers))
    except ApiError:
        return False
    return True


def _not_ready() -> ApiError:
    return _unready("Not ready: send a token to be told why.", "not_ready")


def _unready(message: str, code: str) -> ApiError:
    headers = {"Retry-After": "2"}
    return ApiError(503, message, type="server_error", code=code, headers=headers)
