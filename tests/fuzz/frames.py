"""The API's reader of what bridges have published, with everything behind it."""

import asyncio
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

from dispatcher.continuation import Continuation
from dispatcher.inbox import Inbox
from dispatcher.job import Job
from dispatcher.keys import Keys
from dispatcher.reply import Reply
from testing.service import ScriptedQueue

_MOST_LOSSES = 3


class Frames(ScriptedQueue):
    """A queue whose jobs get these packed frames, one value after the other, and then an end."""

    def __init__(self) -> None:
        super().__init__()
        self.values: Sequence[bytes] = ()
        commands, link = SimpleNamespace(keys=Keys("tiny")), SimpleNamespace(link=None)
        self._inbox = Inbox("api", cast(Any, commands), cast(Any, link), 4, lambda *_: None)
        self._inbox.replies = self._replies

    async def submit(self, job: Job, news: Callable[[], None]) -> Reply:
        self.jobs.append(job)
        reply = self._replies[job.id] = Reply(10_000, news, streamed=job.is_streamed)
        self._tell(job, reply, self.values)
        return reply

    def resume(self, job: Job, rest: Continuation) -> None:
        reply = self._replies[job.id]
        reply.resumed(reply.generation, self.needs)
        self._tell(job, reply, self.values if reply.generation <= _MOST_LOSSES else ())

    def _tell(self, job: Job, reply: Reply, values: Sequence[bytes]) -> None:
        loop, attempt_id = asyncio.get_running_loop(), f"{job.id}:n-1-{reply.generation}".encode()
        for value in values:
            loop.call_soon(self._inbox._deliver, {attempt_id: value})
        loop.call_soon(_end, reply)


def _end(reply: Reply) -> None:
    if not reply.lost:  # else it goes on
        reply.fail("worker_failed", "That was all.")
