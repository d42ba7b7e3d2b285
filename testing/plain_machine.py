"""Runs llamaq on what Windows, macOS and Linux share: `python -m testing.plain_machine bridge …`.

It takes away the rest before it imports llamaq. Python's own library has loaded what it needs by
then. Programs that llamaq starts have all of it again.
"""

import asyncio
import ctypes
import importlib
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

# Loaded first: they look for Linux when they are imported, and are no part of llamaq.
_LOADED_BEFORE = ("asyncio.unix_events", "pathlib", "platform", "ssl", "zoneinfo")
_NO_MODULES = ("uvloop", "resource", "fcntl", "pwd", "grp", "termios", "pty", "tty")
_NOT_OURS = ("opentelemetry", "psutil")  # redis-py takes them where they are; they look for Linux
_NO_NAMES: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (select, ("epoll", "poll", "kqueue")),
    (signal, ("SIGUSR1", "SIGUSR2", "SIGHUP", "SIGQUIT", "SIGALRM", "pause", "sigwait")),
    (os, ("fork", "forkpty", "pidfd_open", "killpg", "setsid", "getuid", "geteuid", "getgid")),
    (os, ("sysconf", "sched_getaffinity", "getloadavg", "uname", "statvfs", "mkfifo")),
    (socket, ("AF_UNIX", "AF_NETLINK", "SOCK_NONBLOCK", "SOCK_CLOEXEC", "SO_REUSEPORT")),
    (socket, ("TCP_QUICKACK", "TCP_USER_TIMEOUT", "TCP_KEEPIDLE", "sendmsg")),
)
_NO_METHODS_OF_LOOP = (
    *("add_signal_handler", "remove_signal_handler", "add_reader", "add_writer"),
    *("remove_reader", "remove_writer", "create_unix_connection", "create_unix_server"),
)


def main() -> None:
    """Takes all of it away, and runs the command line of llamaq."""
    for name in _LOADED_BEFORE:
        importlib.import_module(name)
    _take_away_the_loop()
    _take_away_processes()
    _take_away_proc()
    for name in _NO_MODULES + _NOT_OURS:
        sys.modules[name] = None  # type: ignore[assignment]
    for owner, names in _NO_NAMES:
        for name in names:
            if hasattr(owner, name):
                delattr(owner, name)
    sys.platform = "another"
    importlib.import_module("llamaq.__main__").main()


def _take_away_the_loop() -> None:
    """What is left is what Windows' event loop has, too."""
    asyncio.set_event_loop_policy(None)
    loop = type(asyncio.new_event_loop())
    socket.socketpair = _pair_by_tcp
    for name in _NO_METHODS_OF_LOOP:
        setattr(loop, name, _only_for_asyncio(getattr(loop, name)))


def _take_away_processes() -> None:
    """`Popen` of Windows refuses what runs between fork and exec, and descriptors to inherit."""
    whole = subprocess.Popen.__init__

    def without_fork(self: Any, *args: Any, **named: Any) -> None:
        if named.get("preexec_fn") is not None or named.get("pass_fds"):
            raise ValueError("preexec_fn and pass_fds are not supported")
        whole(self, *args, **named)

    subprocess.Popen.__init__ = without_fork  # type: ignore[method-assign]
    library = ctypes.CDLL

    def with_a_name(name: str | None, *args: Any, **named: Any) -> ctypes.CDLL:
        if name is None:
            raise TypeError("expected a library's name")
        return library(name, *args, **named)

    ctypes.CDLL = with_a_name  # type: ignore[assignment,misc]


def _take_away_proc() -> None:
    def is_away(path: object) -> bool:
        return os.fsdecode(path).startswith("/proc") if isinstance(path, str | bytes) else False

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("open", "os.listdir", "os.scandir") and arguments and is_away(arguments[0]):
            raise FileNotFoundError(arguments[0])

    sys.addaudithook(refuse)
    read_link = os.readlink

    def elsewhere(path: Any, **named: Any) -> Any:
        if is_away(os.fspath(path)):
            raise FileNotFoundError(path)
        return read_link(path, **named)

    os.readlink = elsewhere


def _only_for_asyncio(method: Callable[..., Any]) -> Callable[..., Any]:
    """asyncio's own loop of this system is built on some of what llamaq may not use."""

    def refuse(*args: Any) -> Any:
        caller = sys._getframe(1).f_globals["__name__"]
        if not caller.startswith("asyncio."):
            raise NotImplementedError(method.__name__)
        return method(*args)

    return refuse


def _pair_by_tcp(*_: Any) -> tuple[socket.socket, socket.socket]:
    """Two sockets that are joined, as Windows makes them."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listening:
        one = socket.create_connection(listening.getsockname())
        other, _ = listening.accept()
    return one, other


if __name__ == "__main__":
    main()
