"""Tries real clients against the whole stack, and prints what became of each call."""

import shutil
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

import click

from tests.clients import agents
from tests.clients.programs import JAVASCRIPT, PYTHON, with_javascript, with_python
from tests.clients.stack import Stack, running_stack
from tests.clients.verdict import Verdict, table

CLIENTS: dict[str, Callable[[Stack], list[Verdict]]] = {
    **{name: partial(with_python, name=name) for name in PYTHON},
    **{f"{name}-js": partial(with_javascript, name=name) for name in JAVASCRIPT},
    "codex": agents.codex,
    "claude": agents.claude,
}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(CLIENTS)))
@click.option("--list", "only_list", is_flag=True, help="Print the names of the clients.")
@click.option("--keep", is_flag=True, help="Keep the logs of a trial in which all was well.")
def main(names: tuple[str, ...], only_list: bool, keep: bool) -> None:
    """Try the named clients, or all; exits with 1 where a call fails."""
    if only_list:
        click.echo("\n".join(CLIENTS))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = Path(mkdtemp(prefix="llamaq-clients-"))
    verdicts: list[Verdict] = []
    with running_stack(folder) as stack:
        for name in names or CLIENTS:
            began = time.monotonic()
            found = CLIENTS[name](stack)
            bad = sum(bool(verdict.why) for verdict in found)
            took_s = time.monotonic() - began
            click.echo(f"{name}: {len(found)} calls, {bad} failed, {took_s:.0f} s", err=True)
            verdicts += found
    click.echo(table(verdicts))
    failed = any(verdict.why for verdict in verdicts)
    if failed or keep:
        click.echo(f"What they said is in {folder}", err=True)
    else:
        shutil.rmtree(folder)
    sys.exit(failed)


main()
