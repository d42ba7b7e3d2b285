"""`llamaq drain`: a worker takes no more jobs."""

import json
from functools import partial
from pathlib import Path

import click

from llamaq import order_work
from llamaq.complete_names import worker_ids
from llamaq.data_dir import BESIDE_UP, data_dir_option
from llamaq.json_option import json_option
from llamaq.redis_work import REDIS_SETTINGS, with_redis_url


@click.command(epilog=REDIS_SETTINGS)
@click.argument("worker", shell_complete=worker_ids)
@click.option("--wait", is_flag=True, help="Return when none of its jobs runs any more.")
@json_option
@data_dir_option(BESIDE_UP.format("LLAMAQ_REDIS_URL"))
def drain(worker: str, wait: bool, for_programs: bool, data_dir: Path) -> None:
    """Let WORKER take no more jobs; those that it works on end normally.

    WORKER is an id of `llamaq status`, or a name: then it means all workers of that name. The order
    holds until `llamaq resume WORKER`, over restarts of its bridge and of Redis. Ctrl-C ends the
    waiting, and leaves the order.
    """
    tell = partial(click.echo, err=True)
    work = partial(order_work.drain, worker, wait=wait, tell=tell)
    given, warnings = with_redis_url(data_dir, lambda url: work(redis_url=url))
    for warning in warnings:
        click.echo(f"Warning: {warning}", err=True)
    if for_programs:
        click.echo(json.dumps(order_work.rows(given), indent=2))
        return
    for order in given:
        before = "takes no more jobs" if order.is_news else "was drained already"
        runs = "" if wait else f"; {order.running} still run"
        click.echo(f"{order.worker} ({order.model}) {before}{runs}.")
    click.echo(f"To end it: llamaq resume {given[0].worker if len(given) == 1 else worker}")
