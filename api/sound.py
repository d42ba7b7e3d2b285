"""Sounds that would stall a llama-server, or end it. Pure.

Measured on llama.cpp b11549, which brings every sound to 16,000 samples a second:

sound                                              what it does                bound
one sample                                         ends the server             a millisecond
20,000 samples at 1 a second, 40 kB                take 3 GB and a minute      4,000 a second

Only headers are looked at. What a server decodes of an MP3 is not known before.
"""

import struct
from collections.abc import Iterator

LEAST_RATE = 4000
_LEAST_S = 0.001
_PLAIN = {1, 3, 6, 7, 0xFFFE}  # the WAV encodings in which all samples have the same size


def flaw_of(sound: bytes) -> str | None:
    """What is wrong with a sound, as the end of a sentence, as far as its header tells."""
    header = _wav(sound) if sound[:4] == b"RIFF" else _flac(sound)
    if header is None:
        return None
    rate, samples = header
    if rate < LEAST_RATE:
        return f"has {rate} samples a second, and must have {LEAST_RATE} or more"
    if samples is not None and samples < rate * _LEAST_S:
        return "must be longer than a millisecond"
    return None


def _wav(sound: bytes) -> tuple[int, int | None] | None:
    """Its samples a second, and how many it has where that can be told."""
    rate, size = 0, None
    for name, start, end in _chunks(sound):
        if name == b"fmt " and not rate and end - start >= 16:
            encoding, _, rate, _, block = struct.unpack_from("<HHIIH", sound, start)
            size = block if encoding in _PLAIN else None
        elif name == b"data" and rate:
            return rate, (end - start) // size if size else None
    return None


def _chunks(sound: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The name of each chunk of a WAV file, and where it begins and ends."""
    at = 12
    while at + 8 <= len(sound):
        name, size = struct.unpack_from("<4sI", sound, at)
        start, end = at + 8, at + 8 + size
        yield name, start, min(end, len(sound))
        at = end + size % 2


def _flac(sound: bytes) -> tuple[int, int | None] | None:
    """The same of a FLAC file: its first block tells both. None for what is none."""
    if sound[:4] != b"fLaC" or len(sound) < 26:
        return None
    (packed,) = struct.unpack_from(">Q", sound, 18)
    return packed >> 44, packed & (2**36 - 1) or None
