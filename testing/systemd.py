"""Passes listening sockets to programs, as systemd does for a `.socket` unit: sd_listen_fds(3)."""

import fcntl
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from testing.processes import Program, program

_FAR = 64  # descriptors from here on are none of those that a program gets them as
_LAUNCH = """
import os, sys
passed = sys.argv[1].split(",")
for number, descriptor in enumerate(passed):
    os.dup2(int(descriptor), 3 + number)
    os.close(int(descriptor))
told = {"LISTEN_PID": os.getpid(), "LISTEN_FDS": len(passed), "LISTEN_FDNAMES": "x.socket"}
os.environ.update({name: str(value) for name, value in told.items()})
os.execv(sys.argv[2], sys.argv[2:])
"""


@contextmanager
def activated(
    command: Sequence[str],
    sockets: Sequence[socket.socket],
    log: Path,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Program]:
    """Runs a command that gets these sockets; they stay open here."""
    given = [socket.socket(fileno=fcntl.fcntl(s, fcntl.F_DUPFD_CLOEXEC, _FAR)) for s in sockets]
    numbers = [each.fileno() for each in given]
    launching = [sys.executable, "-c", _LAUNCH, ",".join(map(str, numbers)), *command]
    try:
        with program(launching, log, environment, inherited=numbers) as running:
            yield running
    finally:
        for each in given:
            each.close()
