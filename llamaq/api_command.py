"""`llamaq api`: the API alone."""

import click

from api.settings import ApiSettings
from dispatcher.settings import QueueSettings
from llamaq.settings import describe, load


@click.command(epilog=describe(QueueSettings, ApiSettings))
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on.")
def api(host: str | None, port: int | None) -> None:
    """Serve the API."""
    from llamaq.api_server import run_api  # FastAPI: half a second to load

    loaded = load({QueueSettings: {}, ApiSettings: {"host": host, "port": port}})
    run_api(loaded[ApiSettings], loaded[QueueSettings])
