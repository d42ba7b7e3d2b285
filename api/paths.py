"""Doors to the same route: with `/v1` and without, with a slash at the end and without."""

from starlette.types import ASGIApp, Receive, Scope, Send

PREFIX = "/v1"
READ = ["GET", "HEAD"]
"""The methods of what is only looked at; the server sends no body for the second."""


def canonical(path: str) -> str:
    """The path under which its route is registered.

    >>> canonical("/chat/completions/"), canonical("/v1/models"), canonical("/health")
    ('/v1/chat/completions', '/v1/models', '/v1/health')
    """
    path = path.removesuffix("/")
    return path if path == PREFIX or path.startswith(f"{PREFIX}/") else PREFIX + path


def asked_path(scope: Scope) -> str:
    """The path as the client has written it."""
    return str(scope.get("state", {}).get("asked_path", scope["path"]))


class Doors:
    """ASGI middleware that gives the app canonical paths alone; it redirects nobody."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        if scope["type"] == "http":
            state = {**scope.get("state", {}), "asked_path": scope["path"]}
            scope = {**scope, "path": canonical(scope["path"]), "state": state}
        await self._app(scope, receive, send)
