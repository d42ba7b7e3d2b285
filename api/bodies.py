"""What all endpoints share whose answer is one JSON value: nobody sees it before it is complete.

Pure.
"""

import re
from typing import Any, NoReturn

from api.failure import unreadable
from api.json_text import compact, read
from dispatcher.continuation import Continuation
from dispatcher.job import Job

_MODEL = re.compile(rb'\{"model":"(?:[^"\\]|\\.)*"')


class BodySplice:
    """Passes on what the attempts at a job say (`api.endpoint.Splice`): each starts over."""

    is_spliced = False
    seen_tokens = 0

    def __init__(self, job: Job) -> None:
        self._job = job

    def note_prompt(self, event: bytes) -> None:
        """Nothing tells how far it is."""

    def show(self, events: bytes, tokens: int) -> bytes:
        """See `Splice`."""
        return events

    def lose(self) -> Continuation:
        """All is left to do."""
        job = self._job
        return Continuation(
            job.body,
            same_fingerprint=False,
            prompt_tokens=job.prompt_tokens,
            completion_tokens=0,
            seen_tokens=0,
        )

    def shown(self, tokens: int) -> None:
        """Nothing is, before all is there."""

    def end(self) -> bytes:
        """Nothing is missing."""
        return b""


class BodyAssembly:
    """The whole answer (`api.endpoint.Assembly`), as the server has written it."""

    lost_tokens = 0

    def __init__(self, asked: Any) -> None:
        self._parts: list[bytes] = []

    def add(self, choice: int, events: bytes) -> None:
        """See `Assembly`."""
        self._parts.append(events)

    def restart(self, choice: int) -> None:
        """See `Assembly`."""
        self._parts.clear()

    def body(self) -> bytes:
        """See `Assembly`."""
        return b"".join(self._parts)


def no_shape(asked: Any, request_id: str) -> NoReturn:
    """A stream of such an answer does not exist: no request of these asks for one."""
    raise RuntimeError("a request for one JSON value has asked for a stream")


def value_of(body: bytes) -> Any:
    """The answer as a value. Raises `WorkerFailed` where it is none."""
    try:
        return read(body)
    except ValueError as error:
        raise unreadable() from error


def with_model_name(body: bytes, model: str) -> bytes:
    """The answer with this name of the model. The server repeats the one in the request."""
    name = b'{"model":' + compact(model)
    found = _MODEL.match(body)
    if found is not None:
        return name + body[found.end() :]
    value = value_of(body)
    return compact({**value, "model": model}) if isinstance(value, dict) else body
