"""`llamaq api --workers N`: keeps N processes of the API, which listen on the same sockets.

python -m llamaq.api_workers DRAIN_S SOCKET…

All else is in the environment. The sockets are inherited, and stay open all the time. So no new
connection is lost while one process is away: the others take it, or it waits.
"""

import asyncio
import os
import sys
from collections.abc import Iterator, Sequence

import click

from llamaq.logs import set_up_logs
from llamaq.supervisor import BEYOND_DRAIN_S, LLAMAQ, Supervisor
from worker_bridge.kept_process import ORPHANED, KeptProcess

SOCKET = "--inherited-socket"


async def keep_workers(count: int, drain_s: float, sockets: Sequence[int]) -> None:
    """Runs until a signal; then lets all of them end."""
    supervisor = Supervisor()
    supervisor.heed_signals()
    workers = list(_workers(count, drain_s, sockets))
    for worker in workers:
        supervisor.keep(worker)
    await supervisor.stopping.wait()
    for descriptor in sockets:  # else clients would wait in it for nobody
        os.close(descriptor)
    await supervisor.shut_down([workers])
    supervisor.report_failures()


def _workers(count: int, drain_s: float, sockets: Sequence[int]) -> Iterator[KeptProcess]:
    command = [*LLAMAQ, "api"]
    for descriptor in sockets:
        command += [SOCKET, str(descriptor)]
    for number in range(count):
        yield KeptProcess(
            f"api-{number + 1}",
            command,
            os.environ,
            drain_s + BEYOND_DRAIN_S,
            ORPHANED,
            inherited=sockets,
        )


def main(arguments: Sequence[str]) -> None:
    """Runs what the arguments say."""
    drain_s, *sockets = arguments
    set_up_logs(os.environ["LLAMAQ_LOG_LEVEL"])
    count = int(os.environ["LLAMAQ_API_WORKERS"])
    try:
        asyncio.run(keep_workers(count, float(drain_s), list(map(int, sockets))))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main(sys.argv[1:])
