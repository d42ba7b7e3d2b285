"""What `llamaq up` and `llamaq api --workers` have in common: processes that they keep alive.

The command loads much to read and check settings. Then it becomes a program that loads little,
stays for months, and does nothing but watch.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

import click

from llamaq.logs import set_up_logs
from worker_bridge.kept_process import KeptProcess

log = logging.getLogger("llamaq.supervisor")

LLAMAQ = (sys.executable, "-m", "llamaq")
BEYOND_DRAIN_S = 15.0
"""How much longer than its drain a process may take to end."""


def supervise(work: Coroutine[Any, Any, None], log_level: str) -> None:
    """Runs the work of such a program to its end; tells people why it failed."""
    set_up_logs(log_level)
    try:
        asyncio.run(work)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)


def become(
    module: str, *arguments: object, environment: Mapping[str, str], inherited: Sequence[int]
) -> NoReturn:
    """Goes on as this module of llamaq, with nothing of what was loaded until now.

    Of the open files it has only those that are `inherited`.
    """
    for descriptor in inherited:
        os.set_inheritable(descriptor, True)
    sys.stdout.flush()
    sys.stderr.flush()
    command = [sys.executable, "-m", module, *map(str, arguments)]
    os.execve(sys.executable, command, environment)  # noqa: S606


def inheriting(option: str, descriptors: Sequence[int]) -> list[str]:
    """Tells a program which of its open files are for this option.

    >>> inheriting("--inherited-socket", [3, 4])
    ['--inherited-socket', '3', '--inherited-socket', '4']
    """
    return [word for descriptor in descriptors for word in (option, str(descriptor))]


class Supervisor:
    """Processes that it keeps alive until a signal. `stopping` is set at the first one.

    A second one makes it hurry. It also stops when a process can't be started at all.
    """

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._kept: dict[KeptProcess, asyncio.Task[None]] = {}

    def keep(self, process: KeptProcess) -> None:
        """Starts it, and starts it again when it ends."""
        task = asyncio.create_task(process.run())
        task.add_done_callback(lambda _: self.stopping.set())
        self._kept[process] = task

    def stop_on_signals(self) -> None:
        """Stops at SIGINT, SIGTERM and SIGHUP."""

        def stop() -> None:
            (self._hurry if self.stopping.is_set() else self.stopping).set()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with suppress(NotImplementedError):  # Windows
                loop.add_signal_handler(number, stop)

    def report_failures(self) -> None:
        """Raises `click.ClickException` for a process that could not be started."""
        for process, task in self._kept.items():
            if task.done() and (error := task.exception()):
                raise click.ClickException(f"{process.name} can't be started: {error}")

    async def shut_down(self, groups: Iterable[Sequence[KeptProcess]]) -> None:
        """Stops one group of processes after the other, those of a group at the same time."""
        self.stopping.set()
        log.info("stopping; press Ctrl-C again to stop at once")
        for group in groups:
            await asyncio.gather(*(process.stop(self._hurry) for process in group))
        await asyncio.gather(*self._kept.values(), return_exceptions=True)
