"""`llamaq pause`: the owner of a machine comes first."""

import time
from datetime import datetime
from pathlib import Path

import click

from dispatcher.row import printable
from llamaq.data_dir import data_dir_option
from llamaq.duration import Duration
from llamaq.json_option import json_option, tell, warn
from worker_bridge.hours import parse_hours
from worker_bridge.pause import NO_PAUSE, Heeded, Pause, read_pause, who_heeds, write_pause

_LOOK_S = 0.1
_PATIENCE_S = 4.0
_MORE_S = 0.4


@click.command()
@click.option("--for", "for_s", type=Duration(), help="For this long from now: 2h, 30m.")
@click.option("--hours", help="Within these hours of each day, by the clock here: 18-23.")
@click.option("--unload", is_flag=True, help="Have llama-servers free their memory meanwhile.")
@click.option("--end", is_flag=True, help="End the pause, and forget its hours.")
@json_option
@data_dir_option("Folder in which the bridges of this machine look.")
def pause(
    for_s: int | None,
    hours: str | None,
    unload: bool,
    end: bool,
    for_programs: bool,
    data_dir: Path,
) -> None:
    """Let the workers of this user on this machine take no jobs.

    Running jobs end normally. It needs no token and no Redis. Without an option it tells what is
    ordered. With --hours the pause comes back each day, until `llamaq pause --end`.
    """
    asked = for_s is not None or hours is not None
    if end and (asked or unload):
        raise click.UsageError("--end ends all of it: give it alone")
    if unload and not asked:
        raise click.UsageError("say for how long: --unload goes with --for or --hours")
    folder = data_dir.expanduser()
    before = _read(folder)
    order = NO_PAUSE if end else _ordered(before, for_s, hours, unload) if asked else before
    heeded = _write(folder, order) if asked or end else who_heeds(folder, order.stamp)
    tell(_row(order, heeded), _in_words(order), for_programs=for_programs)
    if not for_programs:
        _tell_of_bridges(order, heeded, folder)


def _read(folder: Path) -> Pause:
    try:
        return read_pause(folder)
    except OSError as error:
        raise click.ClickException(f"can't read the pause in {folder}: {error.strerror}") from error
    except (ValueError, OverflowError):
        return NO_PAUSE  # the next order replaces it


def _ordered(before: Pause, for_s: int | None, hours: str | None, unload: bool) -> Pause:
    """What is ordered now. A kind of pause that is not named stays as it was."""
    try:
        daily = before.hours if hours is None else str(parse_hours(hours))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    until_s = before.until_s if for_s is None else time.time() + for_s
    return Pause(until_s, daily, unload)


def _write(folder: Path, order: Pause) -> list[Heeded]:
    """Writes the order. Returns the bridges that have read it: they look once a second."""
    try:
        stamp = write_pause(folder, order).stamp
    except OSError as error:
        raise click.ClickException(f"can't write to {folder}: {error.strerror}") from error
    waited_until = time.monotonic() + _PATIENCE_S
    while not who_heeds(folder, stamp) and time.monotonic() < waited_until:
        time.sleep(_LOOK_S)
    time.sleep(_MORE_S)  # others look at about the same time
    return who_heeds(folder, stamp)


def _in_words(order: Pause) -> str:
    parts = []
    if order.until_s > time.time():
        parts.append(f"until {datetime.fromtimestamp(order.until_s):%Y-%m-%d %H:%M}")
    if order.hours:
        parts.append(f"each day within {order.hours}")
    if not parts:
        return "Not paused: the bridges of this machine take jobs."
    return f"Paused {' and '.join(parts)}. To end it: llamaq pause --end"


def _tell_of_bridges(order: Pause, heeded: list[Heeded], folder: Path) -> None:
    if not heeded:
        if order.stamp or order != NO_PAUSE:
            warn(
                "no bridge has heeded it. Does `llamaq bridge` or `llamaq up` run as this user, "
                f"with LLAMAQ_DATA_DIR={folder}? One that starts later heeds it."
            )
        return
    click.echo(f"It is heeded by: {', '.join(printable(each.bridge) for each in heeded)}")
    for each in heeded if order.unload else ():
        name = printable(each.bridge)
        if each.frees:
            click.echo(f"{name}: its llama-server ends when its jobs have, and starts again then.")
        else:
            warn(
                f"{name}: another program has started its llama-server, which keeps its memory. "
                "Stop it there, or start it with --sleep-idle-seconds."
            )


def _row(order: Pause, heeded: list[Heeded]) -> dict[str, object]:
    is_until = order.until_s > time.time()
    return {
        "until_s": order.until_s if is_until else None,
        "hours": order.hours or None,
        "unload": order.unload,
        "bridges": [{"name": each.bridge, "frees": each.frees} for each in heeded],
    }
