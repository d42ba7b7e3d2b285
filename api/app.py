"""Builds the app: its routes, its error handlers, and what lives as long as it does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import Lifespan

from api import health, metrics, model_list, request_log, usage_report
from api.cors import with_cors
from api.dashboard import data, orders, page
from api.edge import Edge
from api.endpoints import ENDPOINTS
from api.error_handlers import install_error_handlers
from api.metrics import ApiMetrics
from api.not_relayed import not_relayed_routes
from api.openapi import document_route
from api.origins import read_origins
from api.parts import make_parts
from api.relay import Relay
from api.request_metrics import RequestMetrics
from api.settings import ApiSettings
from dispatcher.queue import Queue
from dispatcher.redis_check import check_when_back
from dispatcher.settings import QueueSettings
from dispatcher.tasks import cancel, go_on, log_failure


def create_app(settings: ApiSettings, queue_settings: QueueSettings) -> FastAPI:
    """The API on the queue that `queue_settings` name."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with Queue(queue_settings, settings.client_buffer_bytes) as queue:
            parts = make_parts(settings, queue_settings, queue)
            app.state.context = parts.context
            works = {**parts.works, **app.state.metrics.begin(parts.context)}
            runs = [check_when_back(queue_settings), *(go_on(*each) for each in works.items())]
            tasks = [asyncio.create_task(run) for run in runs]
            for task in tasks:
                task.add_done_callback(log_failure)
            try:
                yield
            finally:
                request_log.flush()
                app.state.metrics.publish()
            await cancel(tasks)

    return assemble(settings, lifespan)


def assemble(settings: ApiSettings, lifespan: Lifespan[FastAPI]) -> FastAPI:
    """The app around a `lifespan` that sets its `state.context`. It has `state.metrics`."""
    app = FastAPI(
        lifespan=lifespan,
        openapi_url=None,
        title="llamaq",
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    modules = model_list, usage_report, health, metrics, page, data, orders
    for module in modules:
        app.include_router(module.router)
    app.router.routes.append(document_route(ENDPOINTS))
    app.router.routes.extend(not_relayed_routes(endpoint.path for endpoint in ENDPOINTS))
    install_error_handlers(app)
    relays = {door: relay for relay in map(Relay, ENDPOINTS) for door in relay.doors}
    own = {route.path: route.path for module in modules for route in module.router.routes}
    doors = {door: endpoint.path for endpoint in ENDPOINTS for door in endpoint.doors}
    requests = RequestMetrics(own | doors, settings.metrics_tenants)
    app.state.metrics = ApiMetrics(requests)
    app.middleware_stack = Edge(app, relays, requests)
    if origins := read_origins(settings.cors_origins):
        app.middleware_stack = with_cors(app.middleware_stack, origins)
    return app
