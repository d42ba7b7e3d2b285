"""`llamaq invite`: lets a machine of somebody else serve one model."""

from functools import partial
from pathlib import Path

import click

from dispatcher.sentinel_address import is_of_sentinels
from llamaq.complete_names import model_names
from llamaq.data_dir import beside_up_option
from llamaq.home import write_private
from llamaq.invite_text import Access, list_of, rows_of
from llamaq.invite_work import invite as invite_machine
from llamaq.invite_work import list_all
from llamaq.json_option import json_option, tell
from llamaq.redis_elsewhere import url_for_others
from llamaq.redis_work import REDIS_SETTINGS, with_redis_url
from llamaq.settings import load
from worker_bridge.settings import BridgeSettings


@click.command(epilog=REDIS_SETTINGS)
@click.argument("name", required=False)
@click.argument("address", required=False)
@click.option(
    "--model",
    shell_complete=model_names,
    help="The only model that it may serve, by its own name.",
)
@click.option(
    "--secret-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the secret into this new file, and print a line without it.",
)
@click.option("--list", "lists", is_flag=True, help="Show who is invited, and change nothing.")
@json_option
@beside_up_option()
def invite(  # noqa: PLR0913  # one argument per option
    name: str | None,
    address: str | None,
    model: str | None,
    secret_file: Path | None,
    lists: bool,
    for_programs: bool,
    data_dir: Path,
) -> None:
    """Let the machine NAME, which you need not trust with more, serve one model.

    Whoever has the line that this prints can read the prompts of that model and answer its
    requests. They can reach nothing else in Redis. ADDRESS is where that machine reaches Redis, as
    for `llamaq join`. `llamaq uninvite NAME` ends it.
    """
    if lists:
        invited = with_redis_url(data_dir, list_all)
        tell(rows_of(invited), list_of(invited), for_programs=for_programs)
        return
    if name is None or model is None:
        raise click.UsageError("give the NAME of the machine and the --model that it may serve")
    url = _checked_url(name, model, address, data_dir)
    if secret_file is not None and secret_file.exists():
        raise click.UsageError(f"{secret_file} exists already: name a new file")
    secret = with_redis_url(data_dir, partial(invite_machine, name, model))
    if secret_file is not None:
        write_private(secret_file, f"{secret}\n", exclusive=True)
    access = Access(name, model, url, secret if secret_file is None else "")
    tell(access.row, access.text, for_programs=for_programs)


def _checked_url(name: str, model: str, address: str | None, data_dir: Path) -> str:
    """The URL of Redis as that machine sees it. Raises `click.ClickException`."""
    load({BridgeSettings: {"model": model, "worker_name": name}})
    url = url_for_others(address, data_dir, f"llamaq invite {name} ADDRESS --model {model}")
    if is_of_sentinels(url):
        raise click.UsageError(
            "an invited machine may not command the Sentinels: give the ADDRESS of a proxy that "
            "follows the primary (docs/redis.md)"
        )
    return url
