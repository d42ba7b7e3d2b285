"""Which users listen on a TCP port of this machine, where the system tells."""

from collections.abc import Iterator
from pathlib import Path

_TABLES = "/proc/net/tcp", "/proc/net/tcp6"
_LISTENS = "0A"
_ADDRESS, _STATE, _USER = 1, 3, 7  # columns, see proc_net_tcp.txt of Linux


def owners_of(port: int) -> set[int]:
    """The ids of these users; empty where the system doesn't tell, as only Linux does."""
    return {user for table in _TABLES for user in _owners_in(Path(table), port)}


def _owners_in(table: Path, port: int) -> Iterator[int]:
    try:
        _, *rows = table.read_text().splitlines()
    except (OSError, ValueError):
        return
    for row in rows:
        columns = row.split()
        if columns[_STATE] == _LISTENS and columns[_ADDRESS].endswith(f":{port:04X}"):
            yield int(columns[_USER])
