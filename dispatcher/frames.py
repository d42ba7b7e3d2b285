"""Frames, the pieces of a reply, and how several are packed into one value of a stream entry.

A packed frame is `<kind> <seq> <tokens> <length>\\n<payload>`, one after the other, so that
redis-cli shows the server's own text between short headers.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What a frame says."""

    STARTED = "started"  # {"worker": …, "queue_ms": …, "build": …}: an attempt has begun
    PROMPT = "prompt"  # the server's first event of progress: how many tokens the prompt has
    CHUNK = "chunk"  # raw SSE events
    DONE = "done"  # {"prompt_tokens": …, "completion_tokens": …, "cached_tokens": …}: it is whole
    REJECTED = "rejected"  # {"status": …, "body": …}: the server's own refusal, for the client
    FAILED = "failed"  # {"code": …, "message": …}: no other worker may try
    CANCELLED = "cancelled"
    REVOKED = "revoked"  # the attempt counts for nothing: the job is queued again
    LOST = "lost"  # the attempt broke off, but the client has seen a part: the job may go on
    EXPIRED = "expired"
    DROPPED = "dropped"  # the queue was full, and a tenant with less in it got the place
    SUPERSEDED = "superseded"  # a newer job of the same key has taken its place in the queue
    LIMITED = "limited"  # its tenant had used up its tokens when its turn came
    ABANDONED = "abandoned"


_KINDS = {kind.encode(): kind for kind in Kind}

_MOST_FRAMES = 10_000  # of one value: what lies side by side is one frame

FROM_SCRIPT = -1
"""The sequence number of frames that are not counted, such as those of scripts."""


class Frame(NamedTuple):
    """A piece of a reply. `seq` counts an attempt's frames from 0, `tokens` its tokens so far."""

    kind: Kind
    seq: int
    tokens: int = 0
    payload: bytes = b""


def pack(frames: Iterable[Frame]) -> bytes:
    """Several frames of one attempt as one value.

    >>> pack([Frame(Kind.CHUNK, 0, 1, b"data: {}\\n\\n"), Frame(Kind.DONE, 1, 1)])
    b'chunk 0 1 10\\ndata: {}\\n\\ndone 1 1 0\\n'
    """
    return b"".join(
        [
            b"%b %d %d %d\n%b" % (kind.encode(), seq, tokens, len(payload), payload)
            for kind, seq, tokens, payload in frames
        ]
    )


def unpack(value: bytes) -> list[Frame]:
    """The reverse of `pack`; raises `ValueError` for anything else.

    >>> [f.payload for f in unpack(pack([Frame(Kind.CHUNK, 0, 1, b"a"), Frame(Kind.DONE, 1)]))]
    [b'a', b'']
    """
    frames: list[Frame] = []
    start = 0
    while start < len(value):
        header_end = value.index(b"\n", start)
        kind, seq, tokens, length = value[start:header_end].split(b" ")
        start = header_end + 1 + int(length)
        if not header_end < start <= len(value) or len(frames) == _MOST_FRAMES:
            raise ValueError("a frame is cut short, or there are too many")
        payload = value[header_end + 1 : start]
        frames.append(
            Frame(_KINDS.get(kind) or Kind(kind.decode()), int(seq), int(tokens), payload)
        )
    return frames
