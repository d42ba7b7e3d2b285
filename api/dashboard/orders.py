"""POST /dashboard/data/drain, resume and cancel: what an admin orders."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from api.body import parse_object, read_body
from api.dashboard.data import admin_of
from api.dashboard.events import NOT_KEPT
from api.errors import ApiError, bad_request
from dispatcher.connection import LinkedRedis
from dispatcher.orders import JobOrder, UnknownName, WorkerOrder, cancel, drain, resume

router = APIRouter()

_MOST_BYTES, _MOST_DEPTH, _MOST_NAME = 4096, 4, 512
_Order = Callable[[LinkedRedis, str], Awaitable[Sequence[WorkerOrder | JobOrder]]]

log = logging.getLogger("llamaq.dashboard")


@router.post("/v1/dashboard/data/drain")
async def drain_worker(request: Request) -> JSONResponse:
    """The worker takes no more jobs; what it runs ends as usual."""
    return await _carry_out(request, "worker", drain)


@router.post("/v1/dashboard/data/resume")
async def resume_worker(request: Request) -> JSONResponse:
    """It takes jobs again."""
    return await _carry_out(request, "worker", resume)


@router.post("/v1/dashboard/data/cancel")
async def cancel_job(request: Request) -> JSONResponse:
    """The job ends, and its client is told."""
    return await _carry_out(request, "job", cancel)


async def _carry_out(request: Request, what: str, order: _Order) -> JSONResponse:
    context, tenant = await admin_of(request)
    body = await read_body(request.headers, request.receive, _MOST_BYTES, lambda _: None)
    name = parse_object(body, _MOST_DEPTH).get(what)
    if not isinstance(name, str) or not 0 < len(name) <= _MOST_NAME:
        raise bad_request(f"`{what}` must be the name of a {what}.", param=what)
    try:
        done = await order(context.queue.redis, name)
    except UnknownName as error:
        raise ApiError(
            404, error.message, type="invalid_request_error", code=f"{what}_not_found"
        ) from error
    log.warning("%s has ordered: %s %s=%.200r", tenant.subject, order.__name__, what, name)
    return JSONResponse({"done": [asdict(each) for each in done]}, headers=NOT_KEPT)
