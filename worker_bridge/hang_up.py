"""Hears that the other end has closed a connection that nobody reads."""

import asyncio
import select
from collections.abc import Callable

IS_HEARD = hasattr(select, "epoll")
"""Whether this system tells it: Linux does."""


class HangUp:
    """Calls `heard` when the other end of a socket has closed it, until this is closed."""

    def __init__(self, socket: int, heard: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll(1)
        self._epoll.register(socket, select.EPOLLRDHUP)  # and not EPOLLIN: data wakes nobody
        self._loop.add_reader(self._epoll.fileno(), heard)

    def close(self) -> None:
        """Hears no more."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
