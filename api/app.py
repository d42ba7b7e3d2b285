"""Builds the app: its routes, its error handlers, and what lives as long as it does."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import Lifespan

from api import health, model_list, request_log, usage_report
from api.answer_room import AnswerRoom
from api.auth import Authenticator
from api.context import Context, Pulse
from api.cors import with_cors
from api.directory import Directory
from api.edge import Edge
from api.endpoints import ENDPOINTS
from api.error_handlers import install_error_handlers
from api.idempotency.once import Once
from api.jwks import Jwks
from api.limits import Limiter
from api.line import Line
from api.not_relayed import not_relayed_routes
from api.openapi import document_route
from api.origins import read_origins
from api.relay import Relay
from api.settings import ApiSettings
from api.usage_report import UsageKeeper
from api.visit import Room
from dispatcher.aliases import parse_aliases
from dispatcher.invited_keeper import InvitedKeeper
from dispatcher.invited_watch import InvitedWatch
from dispatcher.kept_answers import Bounds, KeptAnswers
from dispatcher.queue import Queue
from dispatcher.redis_check import check_when_back
from dispatcher.settings import QueueSettings
from dispatcher.tasks import cancel, go_on, log_failure

log = logging.getLogger("llamaq.api")


def create_app(settings: ApiSettings, queue_settings: QueueSettings) -> FastAPI:
    """The API on the queue that `queue_settings` name."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with Queue(queue_settings, settings.client_buffer_bytes) as queue:
            aliases = parse_aliases(settings.aliases)
            keeper = InvitedKeeper(queue.lifeline, queue_settings.lease_s, queue.keep_apart)
            jwks = _jwks(settings)
            authenticator, pulse = Authenticator(settings, jwks), Pulse()
            limiter = Limiter(queue.redis, queue_settings.lease_s, lambda: directory.models)
            usage = UsageKeeper(settings.usage_days)
            directory = Directory(
                *(queue.lifeline, settings.model_grace_s, queue.open, aliases),
                readers=[authenticator.read_revocations, usage.keep, limiter.look],
                keeper=keeper,
            )
            authenticator.look_first = directory.refresh
            watch = InvitedWatch(
                queue.redis, queue.api, lambda: keeper.invited, queue_settings.max_invited_bytes
            )
            limit = queue_settings.max_tenant_jobs
            line = Line(settings.api_workers, most_of_tenant=settings.open_requests_of_a_tenant)
            room = Room(settings.held_bytes_of_a_process)
            once = _once(settings, queue, pulse)
            app.state.context = Context(
                *(settings, queue, directory, authenticator, pulse, limiter, limit),
                line=line,
                room=room,
                answers=AnswerRoom(settings.held_bytes_of_a_process, settings.max_held_bytes),
                once=once,
            )
            works = (
                go_on("directory", directory.run),
                go_on("pulse", pulse.run),
                *([go_on("jwks", jwks.run)] if jwks else []),
                go_on("watch over invited machines", watch.run),
                *([go_on("renewal of idempotency keys", once.run)] if once else []),
                check_when_back(queue_settings),
            )
            tasks = [asyncio.create_task(work) for work in works]
            for task in tasks:
                task.add_done_callback(log_failure)
            try:
                yield
            finally:
                request_log.flush()
            await cancel(tasks)

    return assemble(settings, lifespan)


def _jwks(settings: ApiSettings) -> Jwks | None:
    if not settings.jwks_url:
        return None
    if settings.jwt_issuer is None or settings.jwt_audience is None:
        log.warning(
            "An identity provider signs tokens for others too: set LLAMAQ_JWT_ISSUER and "
            "LLAMAQ_JWT_AUDIENCE, so that only those for this API are believed"
        )
    return Jwks(settings.jwks_url)


def _once(settings: ApiSettings, queue: Queue, pulse: Pulse) -> Once | None:
    if not settings.idempotency_s:
        return None
    bytes_ = settings.idempotency_tenant_bytes, settings.idempotency_bytes
    kept = KeptAnswers(queue.redis, queue.lifeline, Bounds(settings.idempotency_s, *bytes_))
    return Once(kept, pulse, settings.queue_position_after_s, settings.client_buffer_bytes)


def assemble(settings: ApiSettings, lifespan: Lifespan[FastAPI]) -> FastAPI:
    """The app around a `lifespan` that sets its `state.context`."""
    app = FastAPI(
        lifespan=lifespan,
        openapi_url=None,
        title="llamaq",
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    for module in (model_list, usage_report, health):
        app.include_router(module.router)
    app.router.routes.append(document_route(ENDPOINTS))
    app.router.routes.extend(not_relayed_routes(endpoint.path for endpoint in ENDPOINTS))
    install_error_handlers(app)
    relays = {door: relay for relay in map(Relay, ENDPOINTS) for door in relay.doors}
    app.middleware_stack = Edge(app, relays)
    if origins := read_origins(settings.cors_origins):
        app.middleware_stack = with_cors(app.middleware_stack, origins)
    return app
