"""What the processes of one API show each other of their metrics: a file for each, without a name.

The parent opens the files, and all of them inherit these. So a scrape of one process tells of all,
and what a process had counted that has died is there for the next one in its place.
"""

import os
import tempfile
import time
import zlib
from collections.abc import Sequence

from dispatcher.sheet import Sheet, unpacked

_HALF_BYTES = 2**24
_HEAD = 32  # number, when it was written, size, checksum: 8 bytes each
_FRESH_S = 10.0  # each process writes once a second


def open_files(number: int) -> list[int]:
    """Descriptors of this many files, empty, and in memory where the system can do that."""
    return [_open_file() for _ in range(number)]


def _open_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("llamaq-metrics")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class SharedSheets:
    """The files as one process uses them: the first of `files` is its own.

    What the process before it had counted there is `before`.
    """

    def __init__(self, files: Sequence[int]) -> None:
        self._own, *self._others = [_File(descriptor) for descriptor in files]
        self.before = self._own.read().lasting()

    def write(self, sheet: Sheet) -> None:
        """Shows a sheet to the others from now on."""
        self._own.write(sheet)

    def others(self) -> list[Sheet]:
        """What the others wrote last; without gauges where that is long ago."""
        return [file.read() for file in self._others]


class _File:
    """One sheet in two halves, by turns: a reader, or the next process, never finds it half
    written.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._number, _, _ = max(self._halves())

    def write(self, sheet: Sheet) -> None:
        self._number += 1
        data = sheet.packed()
        now_ms = int(time.monotonic() * 1000)  # one clock for all processes
        about = self._number, now_ms, len(data), zlib.crc32(data)
        head = b"".join(number.to_bytes(8, "big") for number in about)
        os.pwrite(self._descriptor, head + data, self._number % 2 * _HALF_BYTES)

    def read(self) -> Sheet:
        """The newest one, empty where there is none."""
        _, written_ms, data = max(self._halves())
        sheet = unpacked(data) if data else Sheet()
        return sheet if time.monotonic() - written_ms / 1000 < _FRESH_S else sheet.lasting()

    def _halves(self) -> list[tuple[int, int, bytes]]:
        return [self._half(0), self._half(_HALF_BYTES)]

    def _half(self, at: int) -> tuple[int, int, bytes]:
        """Its number, when it was written, and what it holds; nothing where it is not whole."""
        head = os.pread(self._descriptor, _HEAD, at)
        about = [int.from_bytes(head[i : i + 8], "big") for i in range(0, _HEAD, 8)]
        number, written_ms, size, checksum = about
        data = os.pread(self._descriptor, size, at + _HEAD)
        is_whole = len(data) == size and zlib.crc32(data) == checksum
        return (number, written_ms, data) if is_whole else (0, 0, b"")
