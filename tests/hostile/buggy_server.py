"""A real llama.cpp server with a bug that nobody knows yet: a request with BUG in it crashes it.

It also generates as a GPU does: so many tokens a second for each answer, whatever else it does. Its
options are those of `llamaq.demo_server`.
"""

import asyncio
import os
import signal
import sys
from dataclasses import replace

from llamaq.demo_server import ServerOptions, main, start
from testing.processes import free_port
from testing.proxy import CHUNK_BYTES, Ends, Proxy

BUG = "a bug that nobody knows yet"
TOKENS_PER_S = 50
_BUG = BUG.encode()
_EVENT_END = b"\n\n"


class _BuggyServer(Proxy):
    """Stands before the real server, which listens at `there`."""

    def __init__(self, port: int, there: int) -> None:
        super().__init__(port)
        self._there = there

    async def _connect(self) -> Ends:
        return await asyncio.open_connection("127.0.0.1", self._there)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = b""
        while data := await reader.read(CHUNK_BYTES):
            seen = seen[-len(_BUG) :] + data
            if _BUG in seen:
                os.kill(os.getpid(), signal.SIGSEGV)
            writer.write(data)
            await writer.drain()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Passes an event when it is due; all else at once."""
        clock, due_s = asyncio.get_running_loop().time, 0.0
        while data := await reader.read(CHUNK_BYTES):
            *events, rest = data.split(_EVENT_END)
            for event in events:
                due_s = max(due_s, clock()) + 1 / TOKENS_PER_S
                writer.write(event + _EVENT_END)
                await writer.drain()
                await asyncio.sleep(due_s - clock())
            writer.write(rest)
            await writer.drain()


async def _serve(options: ServerOptions) -> None:
    """Runs both until the process ends."""
    loop, there = asyncio.get_running_loop(), free_port()
    server = start(replace(options, port=there))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, os._exit, 0)

    await _BuggyServer(options.port, there).open()
    print(f"{server.listening_address} is behind {options.port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with main.make_context("buggy_server", sys.argv[1:]) as context:
        asyncio.run(_serve(ServerOptions(**context.params)))
