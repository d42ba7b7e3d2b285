"""`llamaq cancel`: ends a job that waits or runs."""

from functools import partial
from pathlib import Path

import click

from dispatcher.orders import JobOrder
from llamaq import order_work
from llamaq.data_dir import beside_up_option
from llamaq.json_option import json_option, tell
from llamaq.redis_work import REDIS_SETTINGS, with_redis_url

_SENTENCES = {
    "queued": "waited, and will not run; its client gets an error.",
    "running": "runs no more within a second; its client gets an error.",
    "lost": "had lost its worker, and does not go on; its client gets an error.",
}


@click.command(epilog=REDIS_SETTINGS)
@click.argument("job")
@json_option
@beside_up_option()
@click.pass_context
def cancel(ctx: click.Context, job: str, for_programs: bool, data_dir: Path) -> None:
    """Cancel JOB, queued or running.

    JOB is a job of `llamaq status`, or the x-request-id of an answer. Its client gets the error
    `cancelled_by_operator`. The exit status is 1 if all of it was over already.
    """
    given = with_redis_url(data_dir, partial(order_work.cancel, job))
    tell(order_work.rows(given), "\n".join(map(_line, given)), for_programs=for_programs)
    if not any(order.is_news for order in given):
        ctx.exit(1)


def _line(order: JobOrder) -> str:
    over = f"is over already: {order.was}."
    return f"{order.job} ({order.model}) {_SENTENCES.get(order.was, over)}"
