"""One API and some stand-in servers, each with a bridge: real processes and a real Redis."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.processes import (
    LlamaServer,
    answers,
    api,
    bridge,
    free_port,
    program,
    valkey,
    wait_until,
)

_STANDIN = Path(__file__).parents[2] / "bench" / "standin_server.py"


@dataclass(frozen=True, slots=True)
class Fleet:
    """Where it is, and where the logs are."""

    url: str
    redis_url: str
    folder: Path


@contextmanager
def fleet(
    folder: Path, servers: int, slots: int, tokens_per_second: int, api_redis_url: str = ""
) -> Iterator[Fleet]:
    """Runs it; the speed is that of each slot. The API may have another way to Redis."""
    with ExitStack() as stack:
        redis_url = stack.enter_context(valkey(folder))
        for number in range(servers):
            server = LlamaServer(Path(), free_port(), "standin", slots)
            command = [str(_STANDIN), str(server.port), str(slots), str(tokens_per_second)]
            log = folder / f"server{number}.log"
            stack.enter_context(program([sys.executable, *command], log))
            wait_until(lambda url=server.url: answers(f"{url}/health"))
            stack.enter_context(bridge(redis_url, server, folder / f"bridge{number}.log"))
        _, url = stack.enter_context(api(api_redis_url or redis_url, folder / "api.log"))
        wait_until(lambda: answers(f"{url}/ready"))
        yield Fleet(url, redis_url, folder)
