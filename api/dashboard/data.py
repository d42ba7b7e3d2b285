"""GET /dashboard/data…: what the page shows. It is about all tenants: the scope `admin`."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from api.context import Context, context_of, tenant_of
from api.dashboard.events import NOT_KEPT, Events
from api.dashboard.snapshot import read_snapshot
from api.errors import bad_request
from api.paths import READ
from api.scopes import ADMIN, check_scope
from api.tenant import Tenant
from dispatcher.usage import UsageRow, Used, days_between, known_models, today, usage_of_all
from dispatcher.usage_report import sums_of, told, total

router = APIRouter()

_BY = ("tenant", "model", "day")
_MOST_DAYS = 90
_MOST_ROWS = 200


async def admin_of(request: Request) -> tuple[Context, Tenant]:
    """The context, and who asks. Raises `ApiError` for one that may not see all tenants' data."""
    context = context_of(request)
    tenant = await tenant_of(request)
    check_scope(tenant.scopes, ADMIN)
    return context, tenant


@router.api_route("/v1/dashboard/data", methods=READ)
async def snapshot(request: Request) -> Response:
    """One snapshot."""
    context, _ = await admin_of(request)
    content = await read_snapshot(context.queue.redis)
    return Response(content, headers=NOT_KEPT, media_type="application/json")


@router.api_route("/v1/dashboard/data/live", methods=["GET"])
async def live(request: Request) -> Response:
    """A snapshot a second, until the token ends."""
    context, _ = await admin_of(request)

    async def check() -> None:
        await admin_of(request)

    return Events(context.board.live, check)


@router.api_route("/v1/dashboard/data/history", methods=READ)
async def history(request: Request) -> JSONResponse:
    """The last hour by minutes and the last week by hours, of all models or of one."""
    context, _ = await admin_of(request)
    models = context.directory.models
    workers = [worker.id for state in models.values() for worker in state.workers]
    found = await context.board.past.tell(request.query_params.get("model", ""), workers)
    return JSONResponse(found, headers=NOT_KEPT)


@router.api_route("/v1/dashboard/data/usage", methods=READ)
async def usage(request: Request) -> JSONResponse:
    """What was used in the last days, by tenant, by model or by day."""
    context, tenant = await admin_of(request)
    by, days = _asked(request)
    redis = context.queue.redis
    async with context.reports.alone(tenant.subject):  # one large report at a time
        last = await today(redis)
        first = last - timedelta(days=days - 1)
        rows = await usage_of_all(redis, await known_models(redis), days_between(first, last))
    return JSONResponse(_sums(rows, by, first, last), headers=NOT_KEPT)


def _asked(request: Request) -> tuple[str, int]:
    by, days = request.query_params.get("by", "tenant"), request.query_params.get("days", "7")
    if by not in _BY:
        raise bad_request(f"`by` must be one of {', '.join(_BY)}.", param="by")
    if not days.isdecimal() or len(days) > 3 or not 1 <= int(days) <= _MOST_DAYS:
        raise bad_request(f"`days` must be a number from 1 to {_MOST_DAYS}.", param="days")
    return by, int(days)


def _sums(rows: Sequence[UsageRow], by: str, first: date, last: date) -> dict[str, Any]:
    sums = sums_of(rows, by)
    found = sorted(sums.items(), key=_day if by == "day" else _tokens, reverse=True)
    return {
        "from": first.isoformat(),
        "to": last.isoformat(),
        "by": by,
        "data": [{by: name, **told(used)} for name, used in found[:_MOST_ROWS]],
        "left_out": max(0, len(found) - _MOST_ROWS),
        "total": told(total(rows)),
    }


def _tokens(row: tuple[str, Used]) -> int:
    return row[1].tokens


def _day(row: tuple[str, Used]) -> str:
    return row[0]
