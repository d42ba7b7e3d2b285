"""Builds the app: its routes, its error handlers, and what lives as long as it does."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from api import chat, health, model_list
from api.auth import Authenticator
from api.context import Context, Pulse
from api.directory import Directory
from api.error_handlers import install_error_handlers
from api.request_log import RequestLog
from api.settings import ApiSettings
from dispatcher.connection import check_redis
from dispatcher.errors import RedisUnavailable
from dispatcher.queue import Queue
from dispatcher.settings import QueueSettings
from dispatcher.tasks import cancel, go_on

log = logging.getLogger("llamaq.api")


def create_app(settings: ApiSettings, queue_settings: QueueSettings) -> FastAPI:
    """The API on the queue that `queue_settings` name."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with Queue(queue_settings, settings.client_buffer_bytes) as queue:
            directory = Directory(queue.redis, settings.model_grace_s, queue.open)
            authenticator, pulse = Authenticator(settings), Pulse()
            limit = queue_settings.max_tenant_jobs
            app.state.context = Context(settings, queue, directory, authenticator, pulse, limit)
            await _warn_of_redis(queue)
            works = {"directory": directory.run, "pulse": pulse.run}
            tasks = [asyncio.create_task(go_on(name, work)) for name, work in works.items()]
            yield
            await cancel(tasks)

    app = FastAPI(lifespan=lifespan, openapi_url=None, title="llamaq")
    for module in (chat, model_list, health):
        app.include_router(module.router)
    install_error_handlers(app)
    app.add_middleware(RequestLog)
    return app


async def _warn_of_redis(queue: Queue) -> None:
    try:
        for warning in await check_redis(queue.redis):
            log.warning("%s", warning)
    except RedisUnavailable as error:
        log.warning("%s New requests get 503 until it is back.", error.message)
