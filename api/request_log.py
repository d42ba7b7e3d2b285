"""The log line of a request, written when it is over: no prompts, no access tokens."""

import logging
import time
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from api.errors import ApiError, from_llamaq
from api.paths import PROBES
from api.request_trace import RequestTrace
from dispatcher.errors import LlamaqError
from dispatcher.log_lines import Lines

NO_ID = "-"
"""The id of a request of which too little was read to name it."""

CLIENT_GONE = "client_gone"
"""The code of a request whose client has left before its end."""

FIELDS = (
    *("id", "method", "path", "status", "code", "peer", "tenant", "user", "tier", "model"),
    *("worker", "queue_ms", "ttft_ms", "ms"),
    *("prompt_tokens", "cached_tokens", "completion_tokens"),
)

LINES = Lines("request", "llamaq.access", FIELDS)
log = LINES.log


@dataclass(slots=True)
class Record:
    """What the log tells of a request. Times are in milliseconds; None where it never came to it.

    `peer` is the address that it came from, `code` the reason of a refusal. `queue_ms` is the time
    until a worker began, `ttft_ms` that until the first token, and `ms` that until the end.

    The rest is not in the log. It came at `began_at` (`time.monotonic`). `ignored` is the header
    that tells its client which fields have no effect. `trace` has its spans, where it is traced.
    Metrics count its `retries` elsewhere, and the `continuations` of streams.
    """

    id: str
    method: str | None = None
    path: str | None = None
    peer: str | None = None
    status: int | None = None
    code: str | None = None
    tenant: str | None = None
    user: str | None = None
    tier: str | None = None
    model: str | None = None
    worker: str | None = None
    queue_ms: int | None = None
    ttft_ms: int | None = None
    ms: int | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    began_at: float = field(default_factory=time.monotonic)
    ignored: str = ""
    retries: int = 0
    continuations: int = 0
    trace: RequestTrace | None = None

    def go_on(self, *, is_stream: bool) -> None:
        """Its worker is lost, and another one goes on with a stream, or starts an answer over."""
        if is_stream:
            self.continuations += 1
        else:
            self.retries += 1

    def fail(self, error: ApiError | LlamaqError) -> ApiError:
        """It ends with this error. Returns it as the client sees it."""
        shown = error if isinstance(error, ApiError) else from_llamaq(error, self.id)
        self.status, self.code = shown.status, shown.code
        return shown

    def start(self, worker: str) -> None:
        """This worker has begun with it."""
        self.worker = worker
        if self.trace is not None:
            self.trace.start()

    def try_again(self) -> None:
        """Its attempt counts for nothing: another worker starts over."""
        self.retries += 1
        self.wait_again()

    def wait_again(self) -> None:
        """Its worker is lost: it waits for another one."""
        self.worker = None
        if self.trace is not None:
            self.trace.wait()


_values = attrgetter(*FIELDS)


def peer_of(client: Any) -> str | None:
    """The address of a client as ASGI tells it; None where it has none."""
    return client[0] or None if client else None


def write(record: Record, path: str) -> None:
    """Writes the line of a request to this path, if its path has one."""
    if path not in PROBES:
        record.ms = int((time.monotonic() - record.began_at) * 1000)
        values = _values(record)
        LINES.take(values)
        if record.trace is not None:
            record.trace.end(dict(zip(FIELDS, values, strict=True)))


def flush() -> None:
    """Writes all lines that wait: nothing else does in a process that a signal ends."""
    for handler in logging.getLogger().handlers:
        handler.flush()
