"""`llamaq status`: reads the queue's state and prints it."""

from pathlib import Path

import click

from llamaq.data_dir import beside_up_option
from llamaq.json_option import json_option
from llamaq.redis_work import REDIS_SETTINGS, with_redis_url
from llamaq.status import as_json, as_text, read_status


@click.command(epilog=REDIS_SETTINGS)
@json_option
@beside_up_option()
def status(for_programs: bool, data_dir: Path) -> None:
    """Show the models, their workers, slots and queues."""
    found = with_redis_url(data_dir, read_status)
    click.echo(as_json(found) if for_programs else as_text(found))
