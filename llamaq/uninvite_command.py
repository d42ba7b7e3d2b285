"""`llamaq uninvite`: ends what `llamaq invite` has allowed."""

from functools import partial
from pathlib import Path

import click

from dispatcher.settings import QueueSettings
from llamaq.data_dir import beside_up_option
from llamaq.invite_work import uninvite as uninvite_machine
from llamaq.json_option import json_option, tell
from llamaq.redis_work import REDIS_SETTINGS, with_redis_url
from llamaq.settings import load


@click.command(epilog=REDIS_SETTINGS)
@click.argument("name")
@json_option
@beside_up_option()
def uninvite(name: str, for_programs: bool, data_dir: Path) -> None:
    """End the access of the machine NAME at once; its requests go to other workers."""
    placeholder = {"redis_url": "redis://unused"}
    queue: QueueSettings = load({QueueSettings: placeholder})[QueueSettings]
    workers = with_redis_url(data_dir, partial(uninvite_machine, name, queue.lease_s))
    left = f" {workers} of its workers have left the queue." if workers else ""
    text = f"{name!r} is not invited any more.{left}"
    tell({"name": name, "workers": workers}, text, for_programs=for_programs)
