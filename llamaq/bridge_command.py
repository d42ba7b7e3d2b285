"""`llamaq bridge`: the workers of one process."""

import os
import socket
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from dispatcher.redis_check import UnfitRedis
from dispatcher.settings import QueueSettings
from llamaq import event_loop
from llamaq.host_checks import check_command, check_host
from llamaq.logs import batch_lines
from llamaq.metrics_listener import answering, listen_for_scrapes, metrics_option
from llamaq.redis_password import redis_password_options
from llamaq.rpc_option import peers_by_server, rpc_peers_option
from llamaq.settings import describe, load
from llamaq.starting_command import StartingCommand
from llamaq.traces import end_traces, set_up_traces
from worker_bridge.finder import run_finder
from worker_bridge.joining import ServerTaken
from worker_bridge.launcher import rpc_peers as peers_of_command
from worker_bridge.local_servers import PLACES
from worker_bridge.metrics import BridgeMetrics
from worker_bridge.model_host import run_host
from worker_bridge.service import run_bridge
from worker_bridge.settings import BridgeSettings


@click.command(cls=StartingCommand, epilog=describe(QueueSettings, BridgeSettings))
@click.option("--server", "servers", multiple=True, help="Address of a llama-server; repeatable.")
@click.option("--find", is_flag=True, help=f"Find them on {PLACES}, also those that start later.")
@click.option(
    "--models",
    type=click.Path(path_type=Path),
    help="Models to load when they are asked for: a folder of GGUF files, or a file of presets.",
)
@click.option("--model", help="Name to serve the model under.")
@click.option(
    "--work-hours",
    help="Hours of each day in which it works, by the clock here: 22-07, or 9:30-12,13-17.",
)
@click.option("--name", help="Name of this worker; those of several servers get a number.")
@metrics_option("Where Prometheus finds /metrics.")
@redis_password_options
@rpc_peers_option
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def bridge(  # noqa: PLR0913  # one argument per option
    servers: Sequence[str],
    find: bool,
    models: Path | None,
    model: str | None,
    work_hours: str | None,
    name: str | None,
    metrics_listen: str | None,
    rpc_peers: Sequence[str],
    command: Sequence[str],
) -> None:
    """Bridge llama-servers that run, or one that COMMAND starts.

    With --models, COMMAND starts one server after the other, each with the model that is asked for.

    \b
    llamaq bridge --server http://127.0.0.1:8080
    llamaq bridge --server http://127.0.0.1:8080 --server http://127.0.0.1:8081
    llamaq bridge --find
    llamaq bridge -- llama-server -m model.gguf --parallel 4
    llamaq bridge -- llama-server -m model.gguf --parallel 4 --rpc gpu2:50052,gpu3:50052
    llamaq bridge --models /path/to/models -- llama-server --parallel 4
    """
    _check_sources(servers, command, find, models or rpc_peers)
    named = {"model": model, "worker_name": name, "work_hours": work_hours}
    given = named | {"models": models, "metrics_listen": metrics_listen}
    told = load({QueueSettings: {}, BridgeSettings: given})
    queue, one = told[QueueSettings], told[BridgeSettings]
    batch_lines()
    set_up_traces("llamaq-bridge")
    sockets, metrics = _for_scrapes(one)
    place = None if (servers and not models) or find else one.models
    if find:
        work = run_finder(one, queue, metrics)
    elif place is not None:
        _check_goes_with_models(one, servers)
        check_host("bridge", place, command)
        work = run_host(one, queue, place, command, metrics)
    else:
        each = _of_each(servers, named, rpc_peers, command)
        work = run_bridge(each, queue, command, metrics)
    _run(_scraped(work, sockets, metrics) if metrics else work, command)


def _check_sources(
    servers: Sequence[str], command: Sequence[str], find: bool, others: object
) -> None:
    if servers and command:
        raise click.UsageError("give either --server or a command that starts one, not both")
    if find and (servers or command or others):
        raise click.UsageError(
            "--find can't be used with --server, COMMAND, --models or --rpc-peers"
        )


def _for_scrapes(settings: BridgeSettings) -> tuple[list[socket.socket], BridgeMetrics | None]:
    """Where Prometheus asks, and what it is told, where it is to be told anything."""
    sockets = listen_for_scrapes(settings.metrics_listen)
    return sockets, BridgeMetrics() if sockets else None


def _run(work: Coroutine[Any, Any, None], command: Sequence[str]) -> None:
    """Runs the work to its end. Raises `click.ClickException`, also where `command` won't start."""
    try:
        event_loop.run(work)
    except (ServerTaken, UnfitRedis) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{command[0] if command else 'bridge'}: {error}") from error
    finally:
        end_traces()


async def _scraped(
    work: Coroutine[Any, Any, None], sockets: Sequence[socket.socket], metrics: BridgeMetrics
) -> None:
    async with answering(sockets, metrics.text):
        await work


def _of_each(
    servers: Sequence[str],
    named: Mapping[str, str | None],
    rpc_peers: Sequence[str],
    command: Sequence[str],
) -> list[BridgeSettings]:
    """The settings of each worker. Raises `click.ClickException`, for a wrong `command` too."""
    peers = dict(peers_by_server(servers, rpc_peers))
    if own_peers := peers_of_command(command, os.environ) if command else "":
        peers.setdefault("", own_peers)
    each = list(_settings(servers, named, peers))
    check_command("bridge", command)
    return each


def _check_goes_with_models(settings: BridgeSettings, servers: Sequence[str]) -> None:
    if servers:
        raise click.UsageError("give either --server or --models, not both")
    if settings.model is not None:
        raise click.UsageError(
            "--model (LLAMAQ_MODEL) does not go with --models: each model has its file's name"
        )


def _settings(
    servers: Sequence[str], named: Mapping[str, str | None], peers: Mapping[str, str]
) -> Iterator[BridgeSettings]:
    """Those of each worker."""
    seen: set[str] = set()
    for number, server in enumerate(servers or (None,), start=1):
        given = {**named, "server": server, "rpc_peers": peers.get(server or "")}
        one: BridgeSettings = load({BridgeSettings: given})[BridgeSettings]
        if len(servers) > 1 and one.worker_name:
            given["worker_name"] = f"{one.worker_name}-{number}"
            one = load({BridgeSettings: given})[BridgeSettings]
        url = one.server.rstrip("/")
        if url in seen:
            raise click.UsageError(f"--server {one.server} is given twice")
        seen.add(url)
        yield one
