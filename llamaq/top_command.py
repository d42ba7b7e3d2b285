"""`llamaq top`: the fleet, live."""

import sys
from functools import partial
from pathlib import Path

import click

from llamaq.data_dir import beside_up_option
from llamaq.redis_work import REDIS_SETTINGS, with_redis_url


@click.command(epilog=REDIS_SETTINGS)
@click.option(
    "--every",
    "every_s",
    type=click.FloatRange(0.2, 3600),
    default=1,
    show_default=True,
    help="Seconds from one look to the next.",
)
@click.option("--json", "for_programs", is_flag=True, help="One look, as of `status --json`.")
@beside_up_option()
def top(every_s: float, for_programs: bool, data_dir: Path) -> None:
    """Watch the workers, slots, queues and jobs, until you press q.

    Where the output is no terminal, it prints one look and ends.
    """
    import socket

    from llamaq.status import as_json, read_status
    from llamaq.top_frame import frame_lines

    if for_programs or not sys.stdout.isatty():
        found = with_redis_url(data_dir, read_status)
        lines = [line.text for line in frame_lines(found, socket.gethostname())]
        click.echo(as_json(found) if for_programs else "\n".join(lines))
        return
    from llamaq.top_work import watch

    try:
        with_redis_url(data_dir, partial(watch, every_s))
    except KeyboardInterrupt:
        return
