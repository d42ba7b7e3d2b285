"""`llamaq api --workers N`: keeps N processes of the API, which listen on the same sockets.

python -m llamaq.api_workers DRAIN_S METRICS_SOCKET,… SOCKET…

All else is in the environment. The sockets are inherited, and stay open. So no new connection is
lost while one process is away: the others take it, or it waits. The processes share files with
their metrics, so that each can tell those of all.
"""

import os
import sys
from collections.abc import Iterator, Sequence

from dispatcher.shared_sheets import open_files
from llamaq.listening import SOCKET
from llamaq.logs import LOG_LEVEL
from llamaq.supervisor import BEYOND_DRAIN_S, LLAMAQ, Supervisor, inheriting, supervise
from worker_bridge.kept_process import ORPHANED, KeptProcess

METRICS_SOCKET = "--inherited-metrics-socket"
SHEET = "--inherited-sheet"
WORKERS = "LLAMAQ_API_WORKERS"


async def keep_workers(
    count: int, drain_s: float, sockets: Sequence[int], scraped: Sequence[int]
) -> None:
    """Runs until a signal; then lets all of them end."""
    supervisor = Supervisor()
    supervisor.stop_on_signals()
    workers = list(_workers(count, drain_s, sockets, scraped))
    for worker in workers:
        supervisor.keep(worker)
    await supervisor.stopping.wait()
    for descriptor in (*sockets, *scraped):  # else clients would wait in it for nobody
        os.close(descriptor)
    await supervisor.shut_down([workers])
    supervisor.report_failures()


def _workers(
    count: int, drain_s: float, sockets: Sequence[int], scraped: Sequence[int]
) -> Iterator[KeptProcess]:
    sheets = open_files(count)
    command = [*LLAMAQ, "api", *inheriting(SOCKET, sockets), *inheriting(METRICS_SOCKET, scraped)]
    for number in range(count):
        own_first = [*sheets[number:], *sheets[:number]]
        yield KeptProcess(
            f"api-{number + 1}",
            [*command, *inheriting(SHEET, own_first)],
            os.environ,
            drain_s + BEYOND_DRAIN_S,
            ORPHANED,
            inherited=[*sockets, *scraped, *sheets],
        )


if __name__ == "__main__":
    supervise(
        keep_workers(
            int(os.environ[WORKERS]),
            float(sys.argv[1]),
            [int(descriptor) for descriptor in sys.argv[3:]],
            [int(descriptor) for descriptor in filter(None, sys.argv[2].split(","))],
        ),
        os.environ[LOG_LEVEL],
    )
