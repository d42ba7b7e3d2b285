"""A request with an `Idempotency-Key`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.types import Receive, Send

from api.endpoint import Shape
from api.request_log import Record
from dispatcher.kept_answers import Asker


@dataclass(frozen=True, slots=True)
class Keyed:
    """A request whose answer others may want too.

    `run` serves it as if it had no key; it is called once at most. `hold` is told how many more
    bytes the request takes, and raises `ApiError` where they are too many. `shape` makes the shape
    of its stream, before it runs; None if the answer is no stream.
    """

    record: Record
    asker: Asker
    run: Callable[[Receive, Send], Awaitable[None]]
    hold: Callable[[int], None]
    shape: Callable[[], Awaitable[Shape | None]]
