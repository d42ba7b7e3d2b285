"""GET /dashboard: the page and what it loads. It holds no data, so anybody may have it."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.dashboard.site import site
from api.errors import ApiError
from api.paths import READ, asked_path

router = APIRouter()

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)
SAFE = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""The headers of all that browsers show of the dashboard."""
_FOR_EVER = "public, max-age=31536000, immutable"
_PATH = "/dashboard"


@router.api_route("/v1/dashboard", methods=READ)
async def page(request: Request) -> Response:
    """The page. Its links are relative, so it has one address: others lead there."""
    asked, root = asked_path(request.scope), str(request.scope.get("root_path", ""))
    if asked.removeprefix(root) != _PATH:
        up = "../" * (asked.removeprefix(root).count("/") - 1)
        return Response(status_code=308, headers=SAFE | {"Location": f"{up}dashboard"})
    found = site()
    tag = f'"{found.version}"'
    headers = SAFE | {"ETag": tag, "Cache-Control": "no-cache"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(found.page, headers=headers, media_type="text/html; charset=utf-8")


@router.api_route("/v1/dashboard/assets/{version}/{name}", methods=READ)
async def asset(version: str, name: str) -> Response:
    """What the page of this version loads. A page of another one gets it too, but not to keep."""
    found = site()
    file = found.assets.get(name)
    if file is None:
        raise ApiError(
            404,
            "The dashboard has no such file: load the page again.",
            type="invalid_request_error",
            code="not_found",
        )
    kept = _FOR_EVER if version == found.version else "no-store"
    headers = SAFE | {"Cache-Control": kept}
    return Response(file.content, headers=headers, media_type=file.media_type)
