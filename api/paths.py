"""Doors to the same route: with `/v1` and without, with a slash at the end and without."""

from starlette.types import Scope

PREFIX = "/v1"
READ = ["GET", "HEAD"]
"""The methods of what is only looked at; the server sends no body for the second."""

PROBES = ("/v1/health", "/v1/ready")
"""What is asked every few seconds, to see whether the API lives and serves."""


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
