"""GET /health: the process lives. GET /ready: a request would be served. No token needed."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from api.context import context_of
from api.errors import ApiError
from api.paths import READ

router = APIRouter()


@router.api_route("/v1/health", methods=READ)
async def health() -> dict[str, str]:
    """Always 200 while the process answers."""
    return {"status": "ok"}


@router.api_route("/v1/ready", methods=READ)
async def ready(request: Request) -> JSONResponse:
    """200 when Redis takes jobs and a worker accepts them, else 503 and the reason."""
    context = context_of(request)
    directory = context.directory
    await directory.refresh()
    await context.queue.writes.check()
    names = sorted(name for name, state in directory.models.items() if state.accepting)
    if names:
        return JSONResponse({"status": "ready", "models": names})
    raise ApiError(
        503,
        "No worker accepts jobs: start a llama-server with a bridge beside it (llamaq bridge).",
        type="server_error",
        code="no_worker",
        headers={"Retry-After": "2"},
    )
