"""How a process that handles large bodies keeps its memory."""

import ctypes
from contextlib import suppress

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # mallopt(3)
_LARGE_BYTES = 256 * 1024


def give_large_blocks_back() -> None:
    """Gives each large block back to the system as soon as it is free.

    Otherwise glibc learns from the first blocks to keep the next, up to 32 MB each. What lies
    between them then holds them for ever.
    """
    with suppress(OSError, AttributeError):  # another libc
        _libc().mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        _libc().mallopt(_M_ARENA_MAX, 1)  # Python has one thread at a time at work


def give_free_pages_back() -> None:
    """Gives pages that hold nothing any more back to the system. Takes milliseconds."""
    with suppress(OSError, AttributeError):
        _libc().malloc_trim(0)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)
