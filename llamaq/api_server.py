"""Runs the API on uvicorn."""

import asyncio
import gc
import logging
import os
import resource
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from types import FrameType
from typing import NamedTuple

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.door import Door
from api.endpoints import ENDPOINTS
from api.errors import OPENAI
from api.settings import ApiSettings
from dispatcher.beat import until_beat_s
from dispatcher.settings import QueueSettings
from llamaq.acceptor import Acceptor, TlsAcceptor
from llamaq.http_limits import MOST_CONNECTIONS, BoundedProtocol, look_at_all
from llamaq.listening import backlog_of
from llamaq.logs import batch_lines
from llamaq.memory import give_free_pages_back, give_large_blocks_back
from llamaq.metrics_listener import answering
from llamaq.places import MOST_REFUSED, Places
from llamaq.tls import Certificate, certificate
from llamaq.traces import end_traces, set_up_traces
from worker_bridge.kept_process import ORPHANED

log = logging.getLogger("llamaq.api")

_LAST_S = 5.0
_ON_ITS_WAY_S = 0.2
_OTHER_FILES = 256 + MOST_REFUSED
_MOST_HANDSHAKES = 2048
_IDLE_S = 65  # longer than clients keep a connection: else both may use it at the same moment
_LOOK_S = 5.0  # at connections that wait, at memory that is free, and for a new certificate
_MUCH_BYTES = 16 * 2**20
_TICK_S = 1.0  # of the date that answers carry
# Requests leave no cycles. To look for some took a tenth of the CPU, with thousands in line.
_COLLECT_AFTER = (20_000, 20, 20)


class Scrapes(NamedTuple):
    """Where this process is asked for metrics, and the files that it shares with others of its API.

    A process that is alone has no such files.
    """

    sockets: Sequence[socket.socket]
    sheets: Sequence[int] = ()


def run_api(
    settings: ApiSettings,
    queue: QueueSettings,
    sockets: Sequence[socket.socket],
    scrapes: Scrapes,
) -> None:
    """Serves until SIGTERM or SIGINT, then takes nothing new and lets running answers end.

    uvicorn uses uvloop and httptools where they are installed. A second SIGINT ends it at once,
    and so does `ORPHANED`, with an error for every client.
    """
    give_large_blocks_back()
    batch_lines()
    set_up_traces("llamaq-api")
    app = create_app(settings, queue)
    if scrapes.sheets:
        app.state.metrics.share(scrapes.sheets)
    protocol, tls = _protocol(settings), certificate(settings)
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        backlog=max(map(backlog_of, sockets)),
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=True,
        proxy_headers=False,  # `Places` reads what it needs
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=int(settings.drain_s),
    )
    log.info("listening on %s", ", ".join(str(each.getsockname()) for each in sockets))
    _Server(app, config, protocol, tls, scrapes.sockets).run(list(sockets))


class _Server(uvicorn.Server):
    """Before it ends, it reads requests that are on their way.

    It ends at once when the `llamaq up` that started it was killed, and took Redis with it.
    """

    def __init__(
        self,
        app: FastAPI,
        config: uvicorn.Config,
        protocol: type[BoundedProtocol],
        tls: Certificate | None,
        scraped: Sequence[socket.socket],
    ) -> None:
        super().__init__(config)
        self._app = app
        self._protocol = protocol
        self._tls = tls
        self._acceptor: TlsAcceptor | None = None
        self._scrapes = answering(scraped, app.state.metrics.text)
        self._told_to_end = asyncio.Event()
        self._held_bytes = 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to listen."""
        await super().startup([] if self._tls else sockets)
        self.config.loaded_app = self._app.middleware_stack  # the rest of it serves no request
        context = self._app.state.context
        plain = [endpoint.doors for endpoint in ENDPOINTS if endpoint.errors is OPENAI]
        doors, requests = frozenset(chain(*plain)), self._app.state.metrics.requests
        self._protocol.door = Door(context.line, context.authenticator, doors, requests)
        with suppress(NotImplementedError):  # Windows
            asyncio.get_running_loop().add_signal_handler(ORPHANED, self._end_at_once)
        self._accept(sockets or [])
        await self._scrapes.__aenter__()
        gc.collect()
        gc.freeze()  # what was loaded stays: the collector need not look at it again and again
        gc.set_threshold(*_COLLECT_AFTER)

    def _accept(self, sockets: Sequence[socket.socket]) -> None:
        if self._tls is None:
            self._protocol.come = Acceptor(sockets, self._make_protocol).take_more
            return
        handshakes = self._protocol.places.like_these(_MOST_HANDSHAKES)
        context = self._tls.context
        self._acceptor = TlsAcceptor(sockets, self._make_protocol, context, handshakes)
        self._acceptor.open()

    def _make_protocol(self) -> BoundedProtocol:
        return self._protocol(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    async def main_loop(self) -> None:
        """Waits for the end. An idle uvicorn looks for it ten times a second."""
        clock, looked_at = asyncio.get_running_loop().time, 0.0
        while not await self.on_tick(0):
            if clock() - looked_at > _LOOK_S:
                looked_at = clock()
                self._clean_up(looked_at)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told_to_end.wait(), until_beat_s(_TICK_S))

    def _clean_up(self, now_s: float) -> None:
        look_at_all(self.server_state.connections, now_s)
        if self._tls is not None:
            self._tls.renew()
        held_bytes = self._app.state.context.room.held_bytes
        if self._held_bytes - held_bytes > _MUCH_BYTES:
            give_free_pages_back()
        self._held_bytes = held_bytes

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The handler of SIGTERM and SIGINT."""
        super().handle_exit(sig, frame)
        asyncio.get_running_loop().call_soon_threadsafe(self._told_to_end.set)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens no more, and lets running answers end."""
        for server in self.servers:
            server.close()
        if self._acceptor is not None:
            self._acceptor.close()
        self._app.state.context.board.live.close()
        # uvicorn resets a connection whose request it has not read yet.
        await asyncio.sleep(_ON_ITS_WAY_S)
        await super().shutdown(sockets)
        await self._scrapes.__aexit__(None, None, None)
        await asyncio.to_thread(end_traces)

    def _end_at_once(self) -> None:
        self._app.state.context.pulse.end()
        self.should_exit = True
        self._told_to_end.set()
        # Some may read nothing, or stand in line for Redis.
        asyncio.get_running_loop().call_later(_LAST_S, os._exit, 1)


def _allow_many_files() -> int:
    """Raises the limit on open files as far as it goes: many systems start programs with 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return sys.maxsize if most == resource.RLIM_INFINITY else most


def _protocol(settings: ApiSettings) -> type[BoundedProtocol]:
    """The protocol of a process that takes its part of the connections, and has files left."""
    files = _allow_many_files()
    if settings.tls_cert is not None:
        files -= min(_MOST_HANDSHAKES, files // 4)
    most = min(MOST_CONNECTIONS // settings.api_workers, max(files - _OTHER_FILES, files // 2))

    class Protocol(BoundedProtocol):
        places = Places(most, settings.max_address_connections, settings.proxies)

    return Protocol
