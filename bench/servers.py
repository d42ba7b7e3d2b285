"""Starts the servers of a scenario: stand-ins, or real llama.cpp servers on a generated model."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.scenarios import Server
from bench.standin_server import MODEL
from llamaq.demo_model import write_demo_model
from testing.processes import LlamaServer, answers, free_port, program
from testing.waiting import wait_until

_STANDIN = str(Path(__file__).parent / "standin_server.py")


@contextmanager
def started(servers: Sequence[Server], folder: Path) -> Iterator[list[LlamaServer]]:
    """All of them, when they answer."""
    model = folder / "model.gguf"
    if any(server.real for server in servers):
        write_demo_model(model, size="small", stop_rate=0)
    with ExitStack() as stack:
        found = [LlamaServer(model, free_port(), MODEL, server.slots) for server in servers]
        for number, (server, at) in enumerate(zip(servers, found, strict=True)):
            log = folder / f"server{number}.log"
            if server.real:
                stack.enter_context(at.running(log))
            else:
                words = (at.port, server.slots, server.rate, server.prompt_rate)
                command = [sys.executable, _STANDIN, *map(str, words)]
                stack.enter_context(program(command, log))
        for at in found:
            wait_until(lambda url=at.url: answers(f"{url}/health"))
        yield found
