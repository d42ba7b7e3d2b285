"""One API and some stand-in servers, each with a bridge: real processes and a real Redis."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from testing.processes import LlamaServer, Program, answers, api, bridge, free_port, program, valkey
from testing.waiting import wait_until

_STANDIN = Path(__file__).parents[2] / "bench" / "standin_server.py"


@dataclass(frozen=True, slots=True)
class Fleet:
    """Where it is, where the logs are, and its processes."""

    url: str
    redis_url: str
    folder: Path
    api: Program
    bridges: Sequence[Program]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


@contextmanager
def fleet(
    folder: Path,
    servers: int,
    slots: int,
    tokens_per_second: float,
    api_redis_url: str = "",
    **settings: str,
) -> Iterator[Fleet]:
    """Runs it; the speed is that of each slot. The API may have another way to Redis.

    `settings` are the API's LLAMAQ_* variables in lower case.
    """
    bridges = []
    with ExitStack() as stack:
        redis_url = stack.enter_context(valkey(folder))
        for number in range(servers):
            server = LlamaServer(Path(), free_port(), "standin", slots)
            command = [str(_STANDIN), str(server.port), str(slots), str(tokens_per_second)]
            log = folder / f"server{number}.log"
            stack.enter_context(program([sys.executable, *command], log))
            wait_until(lambda url=server.url: answers(f"{url}/health"))
            log = folder / f"bridge{number}.log"
            bridges.append(stack.enter_context(bridge(redis_url, server, log)))
        running = api(api_redis_url or redis_url, folder / "api.log", **settings)
        process, url = stack.enter_context(running)
        wait_until(lambda: answers(f"{url}/ready"))
        yield Fleet(url, redis_url, folder, process, bridges)
