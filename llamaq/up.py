"""`llamaq up`: an embedded Redis, the API and a bridge per server, as one program."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from dispatcher.connection import open_redis, redis_faults
from dispatcher.errors import RedisUnavailable
from dispatcher.tasks import first_of
from llamaq.child_environment import LOG_LEVEL, of_api, of_bridge, of_redis
from llamaq.embedded_redis import EmbeddedRedis, prepare
from llamaq.greeting import Greeting
from llamaq.home import Home, write_private
from llamaq.probe import Probe
from llamaq.redis_start import wait_for_start
from worker_bridge.kept_process import ORPHANED, KeptProcess

log = logging.getLogger("llamaq.up")

_REDIS_STOP_S = 10.0
_REDIS_START_S = 30.0
_BEYOND_DRAIN_S = 15.0
DEMO_MODEL = "demo"
_DEMO_SERVERS = 2
LLAMAQ = (sys.executable, "-m", "llamaq")


@dataclass(frozen=True, slots=True)
class UpPlan:
    """What `up` starts. `redis` is None where another Redis is used; `bridges` are the arguments of
    `llamaq bridge`, one list per bridge.
    """

    home: Home
    host: str
    port: int
    redis_url: str = field(repr=False)
    redis: EmbeddedRedis | None
    jwt_secret: str = field(repr=False)
    bridges: Sequence[Sequence[str]]
    drain_s: float
    log_level: str

    def environment(self, name: str) -> Mapping[str, str]:
        """That of the process of this name."""
        told = {"LLAMAQ_REDIS_URL": self.redis_url, LOG_LEVEL: self.log_level}
        if name == "redis":
            return of_redis(os.environ)
        if name != "api":
            return of_bridge(os.environ, told)
        of_its_own = {
            "LLAMAQ_JWT_SECRET": self.jwt_secret,
            "LLAMAQ_HOST": self.host,
            "LLAMAQ_PORT": str(self.port),
        }
        return of_api(os.environ, told | of_its_own)


def demo_bridges(model: Path) -> list[list[str]]:
    """The bridges of `up --demo`: each starts a real llama.cpp server of its own."""
    server = [sys.executable, "-m", "llamaq.demo_server", "--model", str(model)]
    options = ["--alias", DEMO_MODEL, "--parallel", "4", "--ctx-size", "8192", "--metrics"]
    names = [f"demo{number + 1}" for number in range(_DEMO_SERVERS)]
    return [["--name", name, "--", *server, *options] for name in names]


async def check_nobody_runs(redis_url: str) -> None:
    """Raises `click.ClickException` while the embedded Redis of another `up` answers there."""
    redis = open_redis(redis_url)
    try:
        with redis_faults():
            pid = (await redis.info("server"))["process_id"]
    except RedisUnavailable:
        return
    finally:
        await redis.aclose()
    raise click.ClickException(
        "another `llamaq up` uses this data folder: stop it, or choose another --data-dir. "
        f"If it was killed, its Redis still runs: kill {pid}"
    )


class Up:
    """The processes of one `llamaq up`, started in order and stopped in the reverse one."""

    def __init__(self, plan: UpPlan, greeting: Greeting) -> None:
        self._plan = plan
        self._greeting = greeting
        self._kept: list[tuple[KeptProcess, asyncio.Task[None]]] = []
        self._stop, self._hurry = asyncio.Event(), asyncio.Event()

    async def run(self, *, once: bool, demo: bool) -> None:
        """Runs until a signal, or until the demonstration is over where it is to run `once`."""
        self._heed_signals()
        try:
            await first_of(self._stop.wait(), self._serve(once=once, demo=demo))
            await self._report_failures()
        finally:
            await self._shut_down()

    async def _serve(self, *, once: bool, demo: bool) -> None:
        if self._plan.redis is not None:
            prepare(self._plan.redis)
            process = self._keep("redis", self._plan.redis.command, _REDIS_STOP_S)
            await wait_for_start(self._plan.redis, process, _REDIS_START_S)
            write_private(self._plan.home.redis_url, f"{self._plan.redis_url}\n")
        polite_s = self._plan.drain_s + _BEYOND_DRAIN_S
        self._keep("api", (*LLAMAQ, "api"), polite_s)
        for number, arguments in enumerate(self._plan.bridges):
            self._keep(f"bridge-{number + 1}", (*LLAMAQ, "bridge", *arguments), polite_s)
        probe = Probe(self._greeting.local_url, self._greeting.token)
        if demo:
            await probe.wait_until_ready()
        else:
            await probe.wait_until_alive()
        self._greeting.show()
        model = DEMO_MODEL if demo else await probe.wait_for_model()
        self._greeting.show_chat_line(model)
        if demo:
            await probe.show_chat(model)
        if not once:
            await self._stop.wait()

    def _keep(self, name: str, command: Sequence[str], stop_s: float) -> KeptProcess:
        # Redis and the others are told at the same time. Those wait for nothing then.
        orphaned = signal.SIGTERM if name == "redis" else ORPHANED
        process = KeptProcess(name, command, self._plan.environment(name), stop_s, orphaned)
        task = asyncio.create_task(process.run())
        task.add_done_callback(lambda _: self._stop.set())
        self._kept.append((process, task))
        return process

    async def _report_failures(self) -> None:
        for process, task in self._kept:
            if task.done() and (error := task.exception()):
                raise click.ClickException(f"{process.name} can't be started: {error}")

    async def _shut_down(self) -> None:
        log.info("stopping; press Ctrl-C again to stop at once")
        redis = [kept for kept, _ in self._kept if kept.name == "redis"]
        others = [kept for kept, _ in self._kept if kept.name != "redis"]
        api = [kept for kept in others if kept.name == "api"]
        bridges = [kept for kept in others if kept.name != "api"]
        # First the API, which lets its answers end; they need the bridges, and all need Redis.
        for group in (api, bridges, redis):
            await asyncio.gather(*(kept.stop(self._hurry) for kept in group))
        await asyncio.gather(*(task for _, task in self._kept), return_exceptions=True)
        self._plan.home.redis_url.unlink(missing_ok=True)

    def _heed_signals(self) -> None:
        def heed() -> None:
            (self._hurry if self._stop.is_set() else self._stop).set()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, heed)
