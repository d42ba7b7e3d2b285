"""How a process that handles large bodies keeps its memory."""

import ctypes
import sys
from contextlib import suppress

_M_MMAP_THRESHOLD = -3  # mallopt(3)
_LARGE_BYTES = 256 * 1024


def give_large_blocks_back() -> None:
    """Has the system get each large block back as soon as it is free.

    glibc else learns from the first ones to keep the next, up to 32 MB each. What lies between them
    then holds them for ever.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another libc
            ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
