"""`llamaq cancel`: a job that waits or runs ends."""

import json
from functools import partial
from pathlib import Path

import click

from llamaq import order_work
from llamaq.data_dir import BESIDE_UP, data_dir_option
from llamaq.json_option import json_option
from llamaq.redis_work import REDIS_SETTINGS, with_redis_url

_SENTENCES = {
    "queued": "waited, and will not run; its client gets an error.",
    "running": "runs no more within a second; its client gets an error.",
    "lost": "had lost its worker, and does not go on; its client gets an error.",
}


@click.command(epilog=REDIS_SETTINGS)
@click.argument("job")
@json_option
@data_dir_option(BESIDE_UP.format("LLAMAQ_REDIS_URL"))
@click.pass_context
def cancel(ctx: click.Context, job: str, for_programs: bool, data_dir: Path) -> None:
    """Cancel JOB, queued or running.

    JOB is a job of `llamaq status`, or the x-request-id of an answer. Its client gets the error
    `cancelled_by_operator`. The exit status is 1 if all of it was over already.
    """
    given = with_redis_url(data_dir, partial(order_work.cancel, job))
    if for_programs:
        click.echo(json.dumps(order_work.rows(given), indent=2))
    else:
        for order in given:
            over = f"is over already: {order.was}."
            click.echo(f"{order.job} ({order.model}) {_SENTENCES.get(order.was, over)}")
    if not any(order.is_news for order in given):
        ctx.exit(1)
