"""The parts that are counted: a real Valkey, one API, one bridge, and a server in this process."""

import asyncio
import mmap
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from redis.asyncio import Redis

from bench.counts.counted import BYTES
from bench.standin_server import MODEL, Standin
from dispatcher.keys import Keys
from testing.builders import SECRET
from testing.processes import answers, free_port, program, valkey
from testing.waiting import wait_until

_OWN_COMMANDS = {"info", "touch"}  # this program's; llamaq uses neither
_DIRECT = {"evalsha", "xread", "bzpopmin"}  # all else is called by scripts
_SLOTS = 4
_REST_S = 5.0
_LOOKS = 30
# The counted processes say nothing of their leases while their timers are held.
_LONG_LEASES = {"LLAMAQ_LEASE_S": "3600"}


@dataclass(frozen=True, slots=True)
class Part:
    """A process whose writes and Python calls are counted."""

    name: str
    pid: int
    numbers: memoryview  # see counted.py

    def read(self) -> Counter[str]:
        """What it has done so far."""
        about = Path(f"/proc/{self.pid}/io").read_text()
        writes = next(line for line in about.splitlines() if line.startswith("syscw"))
        return Counter(
            {
                f"writes of the {self.name}": int(writes.split()[1]),
                f"Python calls of the {self.name}": self.numbers[0],
            }
        )


@dataclass(slots=True)
class Parts:
    """All that runs."""

    standin: Standin
    port: int
    redis: Redis
    parts: list[Part] = field(default_factory=list)
    blocked_at_rest: int = 0
    running_key: str = ""

    async def read(self) -> Counter[str]:
        """What all have done so far."""
        found = await calls_of(self.redis)
        for part in self.parts:
            found.update(part.read())
        return found

    async def hold(self) -> None:
        """From now on nothing is done by the clock, and it is known what blocks at rest."""
        for part in self.parts:
            part.numbers[1] = 1
        keys = Keys(MODEL)
        (worker,) = await self.redis.zrange(keys.named("workers"), 0, -1)
        self.running_key = keys.named("running", worker.decode())
        for _ in range(_LOOKS):
            clients = await self.redis.info("clients")
            self.blocked_at_rest = max(self.blocked_at_rest, clients["blocked_clients"])
            await asyncio.sleep(0.01)

    async def rest(self, *, running: bool = False) -> None:
        """Waits until nothing is done any more; the last job is over, or `running`."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + _REST_S
        while not await self._is_at_rest(running):
            if loop.time() > until_s:
                raise TimeoutError(f"the parts don't come to rest within {_REST_S:g} s")
            await asyncio.sleep(0.001)

    async def _is_at_rest(self, running: bool) -> bool:
        has_job = await self.redis.touch(self.running_key)
        clients = await self.redis.info("clients")
        return bool(has_job) == running and clients["blocked_clients"] >= self.blocked_at_rest


async def calls_of(redis: Redis) -> Counter[str]:
    """What Redis has executed so far: scripts, and what these called."""
    stats = await redis.info("commandstats")
    calls = {name.removeprefix("cmdstat_"): about["calls"] for name, about in stats.items()}
    theirs = set(calls) - _OWN_COMMANDS - _DIRECT
    found = Counter({name.upper(): calls.get(name, 0) for name in ("evalsha", "xread", "xadd")})
    found["redis.call"] = sum(calls[name] for name in theirs)
    return found


@contextmanager
def on_one_core() -> Iterator[None]:
    """What is started meanwhile shares one core, and each runs until it waits.

    So a reply is never there before it is waited for, whatever else the machine does.
    """
    cores, policy = os.sched_getaffinity(0), os.sched_getscheduler(0)
    os.sched_setaffinity(0, {min(cores)})
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, os.sched_param(0))
        os.sched_setaffinity(0, cores)


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Parts]:
    """Starts them all."""
    standin, port = Standin(_SLOTS, 0), free_port()
    server = await asyncio.start_server(standin.serve, "127.0.0.1", port)
    with ExitStack() as stack:
        redis_url = stack.enter_context(valkey(folder))
        parts = Parts(standin, free_port(), Redis.from_url(redis_url))
        bridge = ["bridge", "--server", f"http://127.0.0.1:{port}"]
        api = ["api", "--port", str(parts.port)]
        for command in (bridge, api):
            parts.parts.append(stack.enter_context(_counted(command, redis_url, folder)))
        ready = f"http://127.0.0.1:{parts.port}/ready"
        await asyncio.to_thread(wait_until, lambda: answers(ready), 60)
        try:
            yield parts
        finally:
            for part in parts.parts:
                part.numbers[1] = 0  # so that they see when they are told to end
            await parts.redis.aclose()
            server.close()


@contextmanager
def _counted(command: list[str], redis_url: str, folder: Path) -> Iterator[Part]:
    name = command[0]
    shared_path = folder / f"{name}.calls"
    shared_path.write_bytes(bytes(BYTES))
    settings = {"LLAMAQ_REDIS_URL": redis_url, "LLAMAQ_JWT_SECRET": SECRET, **_LONG_LEASES}
    words = [sys.executable, "-m", "bench.counts.counted", str(shared_path), *command]
    environment = {"PYTHONPATH": str(Path(__file__).parents[2]), **settings}
    log = folder / f"{name}.log"
    with program(words, log, environment) as started, shared_path.open("r+b") as file:
        shared = memoryview(mmap.mmap(file.fileno(), BYTES)).cast("Q")
        yield Part(name, started.process.pid, shared)
