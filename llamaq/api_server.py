"""Runs the API on uvicorn."""

import asyncio
import resource

import uvicorn

from api.app import create_app
from api.settings import ApiSettings
from dispatcher.redis_check import check_at_start
from dispatcher.settings import QueueSettings
from llamaq.redis_sentences import told_to_people


def run_api(settings: ApiSettings, queue: QueueSettings) -> None:
    """Serves until SIGTERM or SIGINT, then takes nothing new and lets running answers end.

    Raises `click.ClickException` where Redis can't hold the queue.
    uvicorn uses uvloop and httptools where they are installed. A second SIGINT ends it at once.
    """
    with told_to_people():
        asyncio.run(check_at_start(queue))
    _allow_many_connections()
    config = uvicorn.Config(
        create_app(settings, queue),
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=True,
        timeout_graceful_shutdown=int(settings.drain_s),
    )
    uvicorn.Server(config).run()


def _allow_many_connections() -> None:
    """Raises the limit on open files as far as it goes: many systems start programs with 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
