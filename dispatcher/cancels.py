"""Cancels the jobs that nobody waits for, in the background."""

import asyncio
import logging

from redis.exceptions import ResponseError

from dispatcher.commands import Commands
from dispatcher.cost import Shown
from dispatcher.insist import wait_out

log = logging.getLogger("llamaq.queue")

_BATCH = 64
_MOST = 10_000  # while Redis is away; a job that was forgotten here ends at its deadline


class Cancels:
    """Tells Redis which jobs are cancelled. One call at a time takes all that have come meanwhile.

    When many clients leave at once, few calls cancel their jobs. New requests wait for one of these
    calls at most.
    """

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._jobs: dict[str, str] = {}  # in the order in which they came
        self._news = asyncio.Event()

    def add(self, job: str, shown: Shown | None = None) -> None:
        """Cancels a job that Redis may not know yet. Its client was `shown` this much of it."""
        self._jobs[job] = shown.text if shown else ""
        if len(self._jobs) > _MOST:
            del self._jobs[next(iter(self._jobs))]
        self._news.set()

    async def run(self) -> None:
        """Cancels for ever; waits out an outage of Redis."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._jobs:
                await self._cancel(list(self._jobs.items())[:_BATCH])

    async def _cancel(self, jobs: list[tuple[str, str]]) -> None:
        try:
            await wait_out(lambda: self._commands.cancel(jobs))
        except ResponseError as error:  # each job is cancelled by itself: it is the script's fault
            log.error("Jobs can't be cancelled: %r", error)
        for job, _ in jobs:
            self._jobs.pop(job, None)
