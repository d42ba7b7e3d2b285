"""`llamaq invite`: lets a machine of somebody else serve one model."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from dispatcher.invitations import Invitation
from dispatcher.invited_user import user_of
from dispatcher.redis_login import with_login
from dispatcher.sentinel_address import is_of_sentinels
from llamaq.complete_names import model_names
from llamaq.data_dir import BESIDE_UP, data_dir_option
from llamaq.greeting import bridge_line
from llamaq.home import write_private
from llamaq.invite_work import invite as invite_machine
from llamaq.invite_work import list_all
from llamaq.json_option import json_option, tell
from llamaq.redis_elsewhere import url_for_others
from llamaq.redis_work import REDIS_SETTINGS, with_redis_url
from llamaq.settings import load
from worker_bridge.settings import BridgeSettings

_INSTALL = "pipx install --pip-args='--constraint constraints.txt' ."


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
@data_dir_option(BESIDE_UP.format("LLAMAQ_REDIS_URL"))
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
        _show(with_redis_url(data_dir, list_all), for_programs=for_programs)
        return
    if name is None or model is None:
        raise click.UsageError("give the NAME of the machine and the --model that it may serve")
    load({BridgeSettings: {"model": model, "worker_name": name}})
    url = url_for_others(address, data_dir, f"llamaq invite {name} ADDRESS --model {model}")
    if is_of_sentinels(url):
        raise click.UsageError(
            "an invited machine may not command the Sentinels: give the ADDRESS of a proxy that "
            "follows the primary (docs/redis.md)"
        )
    if secret_file is not None and secret_file.exists():
        raise click.UsageError(f"{secret_file} exists already: name a new file")
    secret = with_redis_url(data_dir, partial(invite_machine, name, model))
    if secret_file is not None:
        write_private(secret_file, f"{secret}\n", exclusive=True)
    if for_programs:
        shown = secret if secret_file is None else ""
        url = with_login(url, user_of(name), shown)
        line = bridge_line(url, *_options(name, model), *_secret_options(url))
        tell({"name": name, "model": model, "line": line.strip()}, "", for_programs=True)
        return
    _tell(name, model, with_login(url, user_of(name), secret if secret_file is None else ""))
    if secret_file is None:
        plain = with_login(url, user_of(name))
        click.echo(
            "\nOr without the secret in the line. The bridge then asks for it:\n"
            f"{bridge_line(plain, *_options(name, model), '--ask-password').strip()}\n"
            f"It is: {secret}"
        )
    click.echo(f"\nTo end it: llamaq uninvite {name}")


def _tell(name: str, model: str, url: str) -> None:
    click.echo(
        f"{name!r} may serve the model {model!r}: it can read its prompts and answer its requests, "
        "and reaches nothing else.\n\n"
        "On that machine, in a copy of this repository of the same version, type once:\n"
        f"{_INSTALL}\nand then, beside its llama-server:\n"
        f"{bridge_line(url, *_options(name, model), *_secret_options(url))}"
    )


def _options(name: str, model: str) -> tuple[str, ...]:
    return "--model", model, "--name", name


def _secret_options(url: str) -> tuple[str, ...]:
    has_secret = ":" in url.partition("://")[2].partition("@")[0]
    return () if has_secret else ("--redis-password-file", "FILE")


def _show(invited: Sequence[tuple[Invitation, int]], *, for_programs: bool) -> None:
    if for_programs:
        rows = [
            {"name": each.name, "model": each.model, "invited_s": each.invited_s}
            | {"ended": each.ended, "workers": workers}
            for each, workers in invited
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    if not invited:
        click.echo("No machine is invited: invite one with `llamaq invite NAME --model MODEL`.")
    width = max((len(each.name) for each, _ in invited), default=0)
    for each, workers in invited:
        since = datetime.fromtimestamp(each.invited_s, UTC).date()
        live = f"{workers} {'worker' if workers == 1 else 'workers'} now"
        state = f"ENDED: {each.ended}" if each.ended else live
        click.echo(f"{each.name:{width}}  {each.model}  since {since}  {state}")
