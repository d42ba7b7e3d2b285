"""Makes one answer of those to the pieces of a request for embeddings. Pure.

The numbers are not read: what a server has written is passed on, except for the indexes. An answer
that looks different from llama-server's is read as JSON.
"""

import re
from collections.abc import Sequence
from typing import Any

from api.bodies import value_of
from api.embeddings.request import EmbeddingRequest
from api.json_text import compact
from dispatcher.errors import WorkerFailed

_HEAD = re.compile(
    rb'\{"model":"(?:[^"\\]|\\.)*","object":"list",'
    rb'"usage":\{"prompt_tokens":(\d{1,12}),"total_tokens":(\d{1,12})\},"data":\['
)
_INDEX = b'"index":'  # stands in no vector: these are numbers, or letters without quotes
_Part = bytes | memoryview
_MISSING = "The model server's answer lacks embeddings. Please send the request again."


class EmbeddingAssembly:
    """The whole answer (`api.endpoint.Assembly`)."""

    lost_tokens = 0

    def __init__(self, asked: EmbeddingRequest) -> None:
        self._asked = asked
        self._sizes = [len(piece) for piece in asked.pieces]
        self._parts: list[list[bytes]] = [[] for _ in asked.pieces]

    def add(self, choice: int, events: bytes) -> None:
        """See `Assembly`."""
        self._parts[choice].append(events)

    def restart(self, choice: int) -> None:
        """See `Assembly`."""
        self._parts[choice].clear()

    def body(self) -> bytes:
        """See `Assembly`."""
        prompt = total = first = 0
        items: list[_Part] = []
        for size, parts in zip(self._sizes, self._parts, strict=True):
            used, found = _read(b"".join(parts), size, first)
            parts.clear()
            items += (b",", *found) if items else found
            prompt, total, first = prompt + used[0], total + used[1], first + size
        if self._asked.is_native:
            return b"".join((b"[", *items, b"]"))
        head = (
            b'{"model":%b,"object":"list","usage":{"prompt_tokens":%d,"total_tokens":%d},"data":['
        ) % (compact(self._asked.named), prompt, total)
        return b"".join((head, *items, b"]}"))


def _read(body: bytes, size: int, first: int) -> tuple[tuple[int, int], Sequence[_Part]]:
    """The tokens that a piece has taken, and its embeddings, with indexes from `first` on.

    These are in many parts: large ones are seldom copied.
    """
    head = _HEAD.match(body)
    begin, end = (head.end(), b"]}") if head else (1, b"]")
    if (head or body.startswith(b'[{"index":')) and body.endswith(end):
        items = _renumbered(body, begin, end, size, first)
        if items is not None:
            return (int(head[1]), int(head[2])) if head else (0, 0), items
    return _read_as_json(body, size, first)


def _renumbered(
    body: bytes, begin: int, end: bytes, size: int, first: int
) -> Sequence[_Part] | None:
    """None where they are not in order."""
    before, *rest = body.split(_INDEX)
    if len(rest) != size:
        return None
    rest[-1] = rest[-1].removesuffix(end)
    parts: list[_Part] = [before[begin:]]
    for index, part in enumerate(rest):
        number = b"%d" % index
        if not part.startswith((number + b",", number + b"}")):
            return None
        parts += (_INDEX, b"%d" % (first + index), memoryview(part)[len(number) :])
    return parts


def _read_as_json(body: bytes, size: int, first: int) -> tuple[tuple[int, int], Sequence[_Part]]:
    value = value_of(body)
    try:
        data: Sequence[Any] = value["data"] if isinstance(value, dict) else value
        usage = value["usage"] if isinstance(value, dict) else {}
        used = int(usage.get("prompt_tokens", 0)), int(usage.get("total_tokens", 0))
        by_index = {each["index"]: each for each in data}
        items = [{**by_index[index], "index": first + index} for index in range(size)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WorkerFailed(_MISSING) from error
    if len(data) != size:
        raise WorkerFailed(_MISSING)
    return used, [compact(items)[1:-1]]
