"""`llamaq join`: the line to paste on another machine."""

from pathlib import Path

import click

from llamaq.data_dir import beside_up_option
from llamaq.greeting import bridge_line, starting_line
from llamaq.json_option import json_option, tell
from llamaq.redis_elsewhere import url_for_others
from llamaq.redis_work import REDIS_SETTINGS


@click.command(epilog=REDIS_SETTINGS)
@click.argument("address", required=False)
@json_option
@beside_up_option()
def join(address: str | None, for_programs: bool, data_dir: Path) -> None:
    """Print the line that joins the llama-server of another machine of yours.

    The first line is for a llama-server that runs, the second one starts it, and keeps it running.
    ADDRESS is where that machine reaches Redis: a host, or HOST:PORT. Beside a `llamaq up --lan`
    it may be left out. The line holds the password. It begins with a space, so that most shells
    keep it out of their history. For a machine of somebody else there is `llamaq invite`.
    """
    url = url_for_others(address, data_dir, "llamaq join ADDRESS")
    line, starting = bridge_line(url), starting_line(url)
    if not for_programs:
        click.echo(
            "The first line is for a llama-server that runs, the second starts it:", err=True
        )
    about = {"redis_url": url, "line": line.strip(), "starting_line": starting.strip()}
    tell(about, f"{line}\n{starting}", for_programs=for_programs)
