"""`llamaq api`: the API alone."""

import asyncio
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click

from api.settings import ApiSettings
from dispatcher.redis_check import check_at_start
from dispatcher.settings import QueueSettings
from llamaq.api_workers import SOCKET, WORKERS
from llamaq.listening import listen
from llamaq.logs import LOG_LEVEL
from llamaq.redis_sentences import told_to_people
from llamaq.settings import describe, load
from llamaq.supervisor import become
from llamaq.tls import certificate
from llamaq.tls_options import tls_options, tls_variables


@click.command(epilog=describe(QueueSettings, ApiSettings))
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on.")
@click.option("--workers", type=int, help="Processes that share the work.")
@tls_options
@click.option(SOCKET, "inherited", type=int, multiple=True, hidden=True)
@click.pass_context
def api(  # noqa: PLR0913  # one argument per option
    context: click.Context,
    host: str | None,
    port: int | None,
    workers: int | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    inherited: Sequence[int],
) -> None:
    """Serve the API."""
    given = {"host": host, "port": port, "api_workers": workers}
    told = {"tls_cert": tls_cert, "tls_key": tls_key}
    loaded = load({QueueSettings: {}, ApiSettings: {**given, **told}})
    settings, queue = loaded[ApiSettings], loaded[QueueSettings]
    certificate(settings)
    with told_to_people():
        asyncio.run(check_at_start(queue))
    if inherited:
        sockets = [socket.socket(fileno=descriptor) for descriptor in inherited]
    else:
        sockets = listen(settings.host, settings.port)
    if settings.api_workers > 1 and not inherited:
        _become_many(settings, sockets, context.find_root().params["log_level"])
    from llamaq.api_server import run_api  # FastAPI: half a second to load

    run_api(settings, queue, sockets)


def _become_many(
    settings: ApiSettings, sockets: Sequence[socket.socket], log_level: str
) -> NoReturn:
    descriptors = [each.fileno() for each in sockets]
    become(
        "llamaq.api_workers",
        *(settings.drain_s, *descriptors),
        environment={
            **os.environ,
            **tls_variables(settings),
            **{WORKERS: str(settings.api_workers), LOG_LEVEL: log_level},
        },
        inherited=descriptors,
    )
