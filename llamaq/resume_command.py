"""`llamaq resume`: a drained worker takes jobs again."""

from functools import partial
from pathlib import Path

import click

from dispatcher.orders import WorkerOrder
from llamaq import order_work
from llamaq.complete_names import worker_ids
from llamaq.data_dir import beside_up_option
from llamaq.json_option import json_option, tell
from llamaq.redis_work import REDIS_SETTINGS, with_redis_url


@click.command(epilog=REDIS_SETTINGS)
@click.argument("worker", shell_complete=worker_ids)
@json_option
@beside_up_option()
def resume(worker: str, for_programs: bool, data_dir: Path) -> None:
    """Let WORKER take jobs again after `llamaq drain`.

    WORKER is an id of `llamaq status`, or a name: then it means all workers of that name, also one
    that is away. A worker that the owner of its machine has paused stays paused.
    """
    given = with_redis_url(data_dir, partial(order_work.resume, worker))
    text = "\n".join(map(_line, given))
    tell(order_work.rows(given), text, for_programs=for_programs)


def _line(order: WorkerOrder) -> str:
    what = "takes jobs again" if order.is_news else "was not drained"
    away = "" if order.is_here else " when it comes back"
    return f"{order.worker} ({order.model}) {what}{away}."
