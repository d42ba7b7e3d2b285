"""What every request needs, made once when the app starts."""

from dataclasses import dataclass, field
from typing import cast

from fastapi import Request

from api.allowed_models import Lists
from api.answer_room import AnswerRoom
from api.aside import Aside
from api.auth import Authenticator, credentials
from api.dashboard.board import Board
from api.directory import Directory
from api.idempotency.once import Once
from api.limits import Limiter
from api.line import Line
from api.pulse import Pulse
from api.settings import ApiSettings
from api.tenant import Tenant
from api.terms import read_terms
from api.turns import Gate
from api.visit import Room
from dispatcher.queue import Queue


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of a running API.

    `max_tenant_jobs` is how many jobs a tenant may have waiting for a model, 0 if any number.
    `once` is for requests with an `Idempotency-Key`, None where that has no effect. `reports` lets
    one large report of usage be made at a time.
    """

    settings: ApiSettings
    queue: Queue
    directory: Directory
    authenticator: Authenticator
    pulse: Pulse
    limiter: Limiter
    board: Board
    max_tenant_jobs: int = 0
    aside: Aside = field(default_factory=Aside)
    line: Line = field(default_factory=Line)
    room: Room = field(default_factory=lambda: Room(2**30))
    answers: AnswerRoom = field(default_factory=lambda: AnswerRoom(2**30, 2**30))
    once: Once | None = None
    reports: Gate = field(default_factory=Gate)


async def tenant_of(request: Request) -> Tenant:
    """Who sends this request; the log gets its name. Raises as `Authenticator.admit`."""
    tenant = await context_of(request).authenticator.admit(credentials(request.headers))
    request.state.record.tenant = tenant.subject
    return tenant


def lists_of(request: Request, tenant: Tenant) -> Lists:
    """Which models this request of a tenant may see. Raises `ApiError` 400 for a bad end user."""
    user = read_terms(tenant, request.headers, {}).user
    return context_of(request).limiter.of(tenant, user).lists


def context_of(request: Request) -> Context:
    """The parts of the API that serves this request."""
    return cast("Context", request.app.state.context)
