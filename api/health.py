"""GET /health: the process lives. GET /ready: a request would be served. No token needed."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from api.allowed_models import Lists, is_allowed
from api.auth import credentials
from api.context import Context, context_of, lists_of
from api.errors import ApiError, unavailable
from api.paths import READ
from dispatcher.errors import LlamaqError

router = APIRouter()
_OF_STRANGERS_S = 0.1  # strangers can't make us ask Redis more often


@router.api_route("/v1/health", methods=READ)
async def health() -> dict[str, str]:
    """Always 200 while the process answers."""
    return {"status": "ok"}


@router.api_route("/v1/ready", methods=READ)
async def ready(request: Request) -> JSONResponse:
    """200 when Redis takes jobs and a worker accepts them, else 503.

    Only a client with a token learns which of its models are ready, or why none is.
    """
    context = context_of(request)
    lists = await _lists(request, context)
    if lists is not None:
        names, directory = await _served(context), context.directory
        allowed = [name for name in names if is_allowed(name, lists, directory)]
        return JSONResponse({"status": "ready", "models": allowed})
    try:
        await _served(context, _OF_STRANGERS_S)
    except (ApiError, LlamaqError) as error:
        raise unavailable("Not ready: send a token to be told why.", "not_ready", 2) from error
    return JSONResponse({"status": "ready"})


async def _served(context: Context, max_age_s: float = 0.0) -> list[str]:
    """The models that take jobs; `max_age_s` old at most. Raises why there are none."""
    directory = context.directory
    await directory.refresh(max_age_s)
    await context.queue.writes.check(max_age_s)
    names = sorted(name for name, state in directory.models.items() if state.accepting)
    if not names:
        raise unavailable(
            "No worker accepts jobs: start a llama-server with a bridge beside it (llamaq bridge).",
            "no_worker",
            retry_s=2,
        )
    return names


async def _lists(request: Request, context: Context) -> Lists | None:
    """Which models the tenant of a request may see; None for one without a good token.

    Raises `RedisUnavailable` where it can't be told whether a token of ours was revoked.
    """
    header = credentials(request.headers)
    try:
        context.authenticator.authenticate(header)
        tenant = await context.authenticator.admit(header)
        return lists_of(request, tenant)
    except ApiError:
        return None
