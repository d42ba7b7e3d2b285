"""Runs the API on uvicorn."""

import uvicorn

from api.app import create_app
from api.settings import ApiSettings
from dispatcher.settings import QueueSettings


def run_api(settings: ApiSettings, queue: QueueSettings) -> None:
    """Serves until SIGTERM or SIGINT, then takes nothing new and lets running answers end.

    uvicorn uses uvloop and httptools where they are installed. A second SIGINT ends it at once.
    """
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
