"""`llamaq api --workers N`: keeps N processes of the API, which listen on the same sockets.

python -m llamaq.api_workers DRAIN_S SOCKET…

All else is in the environment. The sockets are inherited, and stay open all the time. So no new
connection is lost while one process is away: the others take it, or it waits.
"""

import os
import sys
from collections.abc import Iterator, Sequence

from llamaq.logs import LOG_LEVEL
from llamaq.supervisor import BEYOND_DRAIN_S, LLAMAQ, Supervisor, supervise
from worker_bridge.kept_process import ORPHANED, KeptProcess

SOCKET = "--inherited-socket"
WORKERS = "LLAMAQ_API_WORKERS"


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


if __name__ == "__main__":
    supervise(
        keep_workers(
            int(os.environ[WORKERS]),
            float(sys.argv[1]),
            [int(descriptor) for descriptor in sys.argv[2:]],
        ),
        os.environ[LOG_LEVEL],
    )
