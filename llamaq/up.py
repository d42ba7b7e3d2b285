"""`llamaq up`: an embedded Redis, the API and the bridges, as one program.

python -m llamaq.up PLAN

PLAN is an open file that `up_command.py` has written.
"""

import asyncio
import os
import pickle
import signal
import sys
from collections.abc import Sequence

import click

from dispatcher.tasks import first_of
from llamaq.folder_sentences import sentence
from llamaq.home import write_private
from llamaq.listening import SOCKET
from llamaq.redis_rewrite import keep_rewriting
from llamaq.redis_start import wait_for_start
from llamaq.supervisor import BEYOND_DRAIN_S, LLAMAQ, Supervisor, inheriting, supervise
from llamaq.up_plan import UpPlan
from worker_bridge.kept_process import ORPHANED, KeptProcess, run_once

_REDIS_STOP_S = 10.0
_REDIS_START_S = 30.0
_GREETER = (sys.executable, "-m", "llamaq.greeter")


class Up:
    """The processes of one `llamaq up`, started in order and stopped in the reverse one."""

    def __init__(self, plan: UpPlan) -> None:
        self._plan = plan
        self._supervisor = Supervisor()
        self._redis: list[KeptProcess] = []
        self._api: list[KeptProcess] = []
        self._bridges: list[KeptProcess] = []
        self._rewriting: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Runs until a signal, or until the demonstration is over where it is to run once."""
        self._supervisor.stop_on_signals()
        try:
            await first_of(self._supervisor.stopping.wait(), self._serve())
            self._supervisor.report_failures()
        except OSError as error:
            raise click.ClickException(sentence(error, self._plan.home.folder)) from error
        finally:
            # First the API, which lets its answers end; they need the bridges, and all need Redis.
            await self._supervisor.shut_down([self._api, self._bridges, self._redis])
            self._plan.home.redis_url.unlink(missing_ok=True)

    async def _serve(self) -> None:
        plan = self._plan
        if plan.redis is not None:
            # When `up` is killed, all are told at once, and the others don't wait for Redis.
            orphaned = signal.SIGTERM
            process = self._keep("redis", plan.redis.command, _REDIS_STOP_S, orphaned)
            self._redis.append(process)
            await wait_for_start(plan.redis, process, _REDIS_START_S)
            write_private(plan.home.redis_url, f"{plan.redis.url}\n")
            every_s = plan.redis.keeping.rewrite_s
            self._rewriting = asyncio.create_task(keep_rewriting(plan.redis.url, every_s))
            if plan.redis_tls:
                door = self._keep("redis-tls", plan.redis_tls, _REDIS_STOP_S, orphaned)
                self._redis.append(door)
        polite_s = plan.drain_s + BEYOND_DRAIN_S
        api = (*LLAMAQ, "api", *inheriting(SOCKET, plan.sockets))
        self._api.append(self._keep("api", api, polite_s, inherited=plan.sockets))
        for number, arguments in enumerate(plan.bridge_arguments):
            command = (*LLAMAQ, "bridge", *arguments)
            self._bridges.append(self._keep(f"bridge-{number + 1}", command, polite_s))
        if code := await run_once(_GREETER, plan.greeting):
            raise SystemExit(code)  # it has said why
        if not plan.once:
            await self._supervisor.stopping.wait()

    def _keep(
        self,
        name: str,
        command: Sequence[str],
        stop_s: float,
        orphaned: signal.Signals = ORPHANED,
        inherited: Sequence[int] = (),
    ) -> KeptProcess:
        environment = self._plan.environments[name.partition("-")[0]]
        process = KeptProcess(name, command, environment, stop_s, orphaned, inherited=inherited)
        self._supervisor.keep(process)
        return process


if __name__ == "__main__":
    with os.fdopen(int(sys.argv[1]), "rb") as file:
        plan: UpPlan = pickle.load(file)  # noqa: S301  # our own
    supervise(Up(plan).run(), plan.log_level)
