"""Hears when the client of a request leaves."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.types import Receive


class ClientGone(Exception):
    """Nobody reads the answer any more."""


class Departure:
    """Calls `gone` when the client has left, unless it is closed before.

    It receives what comes as a task would. Tasks cost more than most requests need them for.
    """

    def __init__(self, receive: Receive, gone: Callable[[], None]) -> None:
        self._receive = receive
        self._gone = gone
        self._receiving: Coroutine[Any, Any, Any] | None = receive()  # type: ignore[assignment]
        self._go_on()

    def close(self) -> None:
        """Hears no more."""
        if self._receiving is not None:
            self._receiving.close()
            self._receiving = None

    def _go_on(self, _: object = None) -> None:
        while self._receiving is not None:
            try:
                waits_for = self._receiving.send(None)
            except StopIteration as ended:
                self._take(ended.value["type"])
            else:
                self._wait(waits_for)
                return

    def _take(self, kind: str) -> None:
        if kind == "http.disconnect":
            self._receiving = None
            self._gone()
        else:
            self._receiving = self._receive()  # type: ignore[assignment]

    def _wait(self, waits_for: Any) -> None:
        if waits_for is None:
            asyncio.get_running_loop().call_soon(self._go_on)
        else:
            waits_for._asyncio_future_blocking = False  # as tasks say that they have seen it
            waits_for.add_done_callback(self._go_on)
