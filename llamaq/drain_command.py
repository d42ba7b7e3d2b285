"""`llamaq drain`: a worker takes no more jobs."""

from functools import partial
from pathlib import Path

import click

from dispatcher.orders import WorkerOrder
from llamaq import order_work
from llamaq.complete_names import worker_ids
from llamaq.data_dir import beside_up_option
from llamaq.json_option import json_option, tell, warn
from llamaq.redis_work import REDIS_SETTINGS, with_redis_url


@click.command(epilog=REDIS_SETTINGS)
@click.argument("worker", shell_complete=worker_ids)
@click.option("--wait", is_flag=True, help="Return when none of its jobs runs any more.")
@json_option
@beside_up_option()
def drain(worker: str, wait: bool, for_programs: bool, data_dir: Path) -> None:
    """Let WORKER take no more jobs; those that it works on end normally.

    WORKER is an id of `llamaq status`, or a name: then it means all workers of that name. The order
    holds until `llamaq resume WORKER`, over restarts of its bridge and of Redis. Ctrl-C ends the
    waiting, and leaves the order.
    """
    work = partial(order_work.drain, worker, wait=wait, tell=partial(click.echo, err=True))
    given, warnings = with_redis_url(data_dir, lambda url: work(redis_url=url))
    warn(*warnings)
    lines = [_line(order, waited=wait) for order in given]
    name = given[0].worker if len(given) == 1 else worker
    text = "\n".join([*lines, f"To end it: llamaq resume {name}"])
    tell(order_work.rows(given), text, for_programs=for_programs)


def _line(order: WorkerOrder, *, waited: bool) -> str:
    what = "takes no more jobs" if order.is_news else "was drained already"
    runs = "" if waited else f"; {order.running} still run"
    return f"{order.worker} ({order.model}) {what}{runs}."
