"""`llamaq doctor`: what is wrong, and what to do."""

import sys
from pathlib import Path

import click

from llamaq.data_dir import beside_up_option
from llamaq.json_option import json_option
from llamaq.redis_work import REDIS_SETTINGS


@click.command(epilog=REDIS_SETTINGS)
@json_option
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    envvar="LLAMAQ_PORT",
    show_envvar=True,
    default=8484,
    show_default=True,
    help="Where the API of this machine listens.",
)
@click.option("--token", "has_token", is_flag=True, help="Judge a token from standard input, too.")
@beside_up_option()
def doctor(for_programs: bool, port: int, has_token: bool, data_dir: Path) -> None:
    """Look for what is wrong: Redis, clocks, versions, servers, tokens, disk, ports.

    It changes nothing. Each line is ok, a warning, or wrong, and says what to do. The exit status
    is 1 where something is wrong.
    """
    from llamaq.doctor_findings import findings
    from llamaq.doctor_work import as_json, as_text, gather
    from llamaq.finding import State

    token = sys.stdin.read().strip() if has_token else ""
    found = findings(gather(data_dir, port, token))
    click.echo(as_json(found) if for_programs else as_text(found))
    if any(each.state is State.WRONG for each in found):
        sys.exit(1)
