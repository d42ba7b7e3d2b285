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
from llamaq.api_workers import METRICS_SOCKET, SHEET, WORKERS
from llamaq.listening import SOCKET, listen
from llamaq.logs import LOG_LEVEL
from llamaq.metrics_listener import listen_for_scrapes, metrics_option
from llamaq.passed_sockets import at_their_address, passed_sockets
from llamaq.redis_sentences import telling_unfit_redis
from llamaq.settings import describe, load
from llamaq.supervisor import become
from llamaq.tls import certificate
from llamaq.tls_options import tls_options, tls_variables


@click.command(epilog=describe(QueueSettings, ApiSettings))
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on.")
@click.option("--workers", type=int, help="Processes that share the work.")
@metrics_option("Where Prometheus needs no token.")
@tls_options
@click.option(SOCKET, "inherited", type=int, multiple=True, hidden=True)
@click.option(METRICS_SOCKET, "scraped", type=int, multiple=True, hidden=True)
@click.option(SHEET, "sheets", type=int, multiple=True, hidden=True)
@click.pass_context
def api(  # noqa: PLR0913  # one argument per option
    context: click.Context,
    host: str | None,
    port: int | None,
    workers: int | None,
    metrics_listen: str | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    inherited: Sequence[int],
    scraped: Sequence[int],
    sheets: Sequence[int],
) -> None:
    """Serve the API."""
    given = {"host": host, "port": port, "api_workers": workers}
    told = {"tls_cert": tls_cert, "tls_key": tls_key, "metrics_listen": metrics_listen}
    loaded = load({QueueSettings: {}, ApiSettings: {**given, **told}})
    settings, queue = loaded[ApiSettings], loaded[QueueSettings]
    certificate(settings)
    with telling_unfit_redis():
        asyncio.run(check_at_start(queue))
    sockets = _opened(inherited) or _passed(settings) or listen(settings.host, settings.port)
    is_worker = bool(sheets)
    for_scrapes = _opened(scraped) if is_worker else listen_for_scrapes(settings.metrics_listen)
    if settings.api_workers > 1 and not is_worker:
        log_level = context.find_root().params["log_level"]
        _become_many(settings, sockets, for_scrapes, log_level)
    from llamaq.api_server import Scrapes, run_api  # FastAPI: half a second to load

    run_api(settings, queue, sockets, Scrapes(for_scrapes, sheets))


def _opened(descriptors: Sequence[int]) -> list[socket.socket]:
    return [socket.socket(fileno=descriptor) for descriptor in descriptors]


def _passed(settings: ApiSettings) -> list[socket.socket]:
    if passed := passed_sockets():
        at_their_address(settings, passed)
    return passed


def _become_many(
    settings: ApiSettings,
    sockets: Sequence[socket.socket],
    for_scrapes: Sequence[socket.socket],
    log_level: str,
) -> NoReturn:
    descriptors = [each.fileno() for each in sockets]
    scraped = [each.fileno() for each in for_scrapes]
    become(
        "llamaq.api_workers",
        *(settings.drain_s, ",".join(map(str, scraped)), *descriptors),
        environment={
            **os.environ,
            **tls_variables(settings),
            **{WORKERS: str(settings.api_workers), LOG_LEVEL: log_level},
        },
        inherited=[*descriptors, *scraped],
    )
