"""A Redis that a test can kill, and start again."""

from contextlib import ExitStack
from pathlib import Path

from dispatcher.connection import LinkedRedis, open_redis
from llamaq.embedded_redis import find_server, plan, prepare
from llamaq.redis_socket import wait_until_ready
from testing.processes import Program, program


class Killable:
    """The server of `llamaq up`, which a test can kill, and a client of it."""

    def __init__(self, folder: Path) -> None:
        self._server = plan(find_server(), folder, listen=None, password=None)
        prepare(self._server)
        self._log = folder / "log"
        self._clients: list[LinkedRedis] = []
        self._stack = ExitStack()
        self._program: Program

    @property
    def url(self) -> str:
        """Its address, the same at each start."""
        return self._server.url

    async def start(self) -> LinkedRedis:
        """A client of one that has read its data."""
        self._server.socket_path.unlink(missing_ok=True)
        self._program = self._stack.enter_context(program(self._server.command, self._log))
        await wait_until_ready(self._server.url, 10)
        self._clients.append(open_redis(self._server.url))
        return self._clients[-1]

    def kill(self) -> None:
        """SIGKILL."""
        self._program.kill()

    async def close(self) -> None:
        """Ends it for good."""
        for client in self._clients:
            await client.aclose()
        self._stack.close()

    def written(self) -> Path:
        """The file that commands are appended to."""
        return max(self._server.config_path.parent.glob("appendonlydir/*.incr.aof"))
