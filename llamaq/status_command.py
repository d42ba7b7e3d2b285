"""`llamaq status`: reads the queue's state and prints it."""

import asyncio
from pathlib import Path

import click

from dispatcher.errors import RedisUnavailable
from dispatcher.settings import QueueSettings
from llamaq.data_dir import BESIDE_UP, data_dir_option, kept_redis_url
from llamaq.settings import describe, load
from llamaq.status import as_json, as_text, read_status

_HINT = "Is LLAMAQ_REDIS_URL (or REDIS_URL) right?"


@click.command(epilog=describe(QueueSettings))
@click.option("--json", "for_programs", is_flag=True, help="For programs.")
@data_dir_option(BESIDE_UP.format("LLAMAQ_REDIS_URL"))
def status(for_programs: bool, data_dir: Path) -> None:
    """Show the models, their workers, slots and queues."""
    kept = kept_redis_url(data_dir)
    settings: QueueSettings = load({QueueSettings: {"redis_url": kept}})[QueueSettings]
    try:
        state = asyncio.run(read_status(settings.redis_url.get_secret_value()))
    except RedisUnavailable as error:
        hint = f"Does the `llamaq up` in {data_dir} still run?" if kept else _HINT
        raise click.ClickException(f"{error.message} {hint}") from error
    click.echo(as_json(*state) if for_programs else as_text(*state))
