"""The command line."""

import asyncio
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import click

from api.auth import create_token
from api.settings import ApiSettings
from api.tenant import InvalidClaim, read_tenant
from dispatcher.errors import RedisUnavailable
from dispatcher.settings import QueueSettings
from dispatcher.tier import Tier
from llamaq import event_loop
from llamaq import status as status_page
from llamaq.duration import Duration
from llamaq.greeting import bridge_line, elsewhere
from llamaq.home import Home
from llamaq.logs import set_up_logs
from llamaq.settings import describe, load
from llamaq.up_command import up
from worker_bridge.joining import ServerTaken
from worker_bridge.service import run_bridge
from worker_bridge.settings import BridgeSettings

_HOME = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Use what `llamaq up` keeps in this folder.",
)


@click.group(context_settings={"max_content_width": 100})
@click.version_option(package_name="llamaq")
@click.option(
    "--log-level",
    envvar="LLAMAQ_LOG_LEVEL",
    show_envvar=True,
    default="info",
    type=click.Choice(["debug", "info", "warning", "error"]),
)
def main(log_level: str) -> None:
    """One OpenAI-compatible endpoint for every llama.cpp server you run."""
    set_up_logs(log_level)


main.add_command(up)


@main.command(epilog=describe(QueueSettings, ApiSettings))
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on.")
def api(host: str | None, port: int | None) -> None:
    """Serve the API."""
    from llamaq.api_server import run_api  # FastAPI: half a second to load

    loaded = load({QueueSettings: {}, ApiSettings: {"host": host, "port": port}})
    run_api(loaded[ApiSettings], loaded[QueueSettings])


@main.command(epilog=describe(QueueSettings, BridgeSettings))
@click.option("--server", help="Address of the llama-server.")
@click.option("--model", help="Name to serve the model under.")
@click.option("--name", help="Name of this worker.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def bridge(server: str | None, model: str | None, name: str | None, command: Sequence[str]) -> None:
    """Bridge a llama-server: one that runs, or one that COMMAND starts.

    \b
    llamaq bridge --server http://127.0.0.1:8080
    llamaq bridge -- llama-server -m model.gguf --parallel 4
    """
    if server and command:
        raise click.UsageError("give either --server or a command that starts one, not both")
    values = {"server": server, "model": model, "worker_name": name}
    loaded = load({QueueSettings: {}, BridgeSettings: values})
    try:
        event_loop.run(run_bridge(loaded[BridgeSettings], loaded[QueueSettings], command))
    except ServerTaken as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{command[0] if command else 'bridge'}: {error}") from error


@main.group()
def token() -> None:
    """Tokens of access."""


@token.command(epilog=describe(ApiSettings))
@click.argument("subject")
@click.option("--ttl", type=Duration(), default="90d", show_default=True, help="How long it lasts.")
@click.option(
    "--weight",
    type=float,
    default=1,
    show_default=True,
    help="Its part of a busy model: 2 gets twice as many tokens as 1. From 0.001 to 1000.",
)
@click.option(
    "--tier",
    type=click.Choice([tier.value for tier in Tier]),
    default=Tier.DEFAULT.value,
    show_default=True,
    help="The most urgent service tier it may use, and the one that it uses unless it asks.",
)
@click.option(
    "--delegate",
    is_flag=True,
    help="It speaks for end users, each with a turn of their own (Open WebUI and the like).",
)
@_HOME
def create(
    subject: str, ttl: int, weight: float, tier: str, delegate: bool, data_dir: Path | None
) -> None:
    """Print a new token for SUBJECT, the tenant it stands for."""
    claims = {"sub": subject, "weight": weight, "tier": tier, "delegate": delegate}
    try:
        tenant = read_tenant(claims)
    except InvalidClaim as error:
        raise click.UsageError(f"the token's {error}") from error
    secret = _kept(Home(data_dir).jwt_secret) if data_dir else None
    settings: ApiSettings = load({ApiSettings: {"jwt_secret": secret}})[ApiSettings]
    key = settings.jwt_secret.get_secret_value()
    click.echo(create_token(key, tenant, ttl, settings.jwt_audience, settings.jwt_issuer))


@main.command(epilog=describe(QueueSettings))
@click.argument("address")
def join(address: str) -> None:
    """Print the line that joins the llama-server of another machine.

    ADDRESS is where that machine reaches the Redis of LLAMAQ_REDIS_URL: a host, or HOST:PORT. The
    line holds the password.
    """
    settings: QueueSettings = load({QueueSettings: {}})[QueueSettings]
    click.echo(bridge_line(elsewhere(settings.redis_url.get_secret_value(), address)))


@main.command(epilog=describe(QueueSettings))
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@_HOME
def status(as_json: bool, data_dir: Path | None) -> None:
    """Show the models, their workers, slots and queues."""
    url = _kept(Home(data_dir).redis_url) if data_dir else None
    settings: QueueSettings = load({QueueSettings: {"redis_url": url}})[QueueSettings]
    state = _run(status_page.read_status(settings.redis_url.get_secret_value()))
    click.echo(status_page.as_json(*state) if as_json else status_page.as_text(*state))


def _kept(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise click.ClickException(
            f"can't read {path} ({error.strerror}): does `llamaq up` run with this --data-dir?"
        ) from error


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    try:
        return asyncio.run(work)
    except RedisUnavailable as error:
        raise click.ClickException(f"{error.message} Is LLAMAQ_REDIS_URL right?") from error


if __name__ == "__main__":
    main()
