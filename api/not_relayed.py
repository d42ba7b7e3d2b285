"""The paths that a llama-server has and llamaq does not relay: a 404 would blame the model."""

from collections.abc import Iterable, Sequence

from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from api.errors import NO_RETRY, ApiError
from api.paths import PREFIX, asked_path

_PATHS = (
    "/chat/completions/control",
    "/systemone",
    "/props",
    "/slots",
    "/slots/{id}",
    "/lora-adapters",
    "/stream",
    "/streams/lookup",
    "/models/load",
    "/models/unload",
    "/tools",
    "/cors-proxy",
)


class NotRelayed:
    """Answers any method with a 501 that names what is served."""

    def __init__(self, served: Iterable[str]) -> None:
        self._served = ", ".join(sorted(served))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request (ASGI)."""
        raise ApiError(
            501,
            f"llamaq does not relay {asked_path(scope)} to its llama-servers. It serves "
            f"{self._served}, /v1/models, /health and /ready.",
            type="invalid_request_error",
            code="not_relayed",
            headers=NO_RETRY,
        )


def not_relayed_routes(served: Iterable[str]) -> Sequence[BaseRoute]:
    """A route for each of them, for any method. They come after those that are `served`."""
    refuse = NotRelayed(served)
    return [Route(PREFIX + path, refuse) for path in _PATHS]
