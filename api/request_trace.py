"""The spans of a request, where requests are traced: all of it, and its waits in the queue."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.types import Scope

from dispatcher.traces import context_of, traceparent_of

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

WAIT = "wait in the queue"
FIRST_TOKEN = "first token"  # noqa: S105

# The field of the log line -> the attribute of the span, in OpenTelemetry's words where it has one.
ATTRIBUTES = {
    **{"id": "llamaq.request.id", "method": "http.request.method", "path": "url.path"},
    **{"status": "http.response.status_code", "code": "error.type", "peer": "client.address"},
    **{"tenant": "llamaq.tenant", "user": "llamaq.user", "tier": "llamaq.tier"},
    **{"model": "gen_ai.request.model", "worker": "llamaq.worker"},
    **{"prompt_tokens": "gen_ai.usage.input_tokens"},
    **{"cached_tokens": "gen_ai.usage.cache_read.input_tokens"},
    **{"completion_tokens": "gen_ai.usage.output_tokens"},
}


class RequestTrace:
    """The spans of one request, to a path of this `name`. The client's span may be their parent."""

    def __init__(self, tracer: "Tracer", scope: Scope, name: str) -> None:
        from opentelemetry.trace import SpanKind, set_span_in_context

        told = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        self._tracer = tracer
        self._began_ns = time.time_ns()
        self._span = tracer.start_span(name, context_of(told), SpanKind.SERVER)
        self._context = set_span_in_context(self._span)
        self._waiting: Span | None = None

    def wait(self) -> str:
        """It waits in the queue from now on. Returns the `traceparent` for the workers."""
        if self._waiting is None:
            self._waiting = self._tracer.start_span(WAIT, self._context)
        return traceparent_of(self._span)

    def start(self) -> None:
        """A worker has begun with it."""
        if self._waiting is not None:
            self._waiting.end()
            self._waiting = None

    def end(self, fields: Mapping[str, Any]) -> None:
        """It is over, and these are the fields of its log line."""
        from opentelemetry.trace import StatusCode

        self.start()
        told = {attribute: fields[name] for name, attribute in ATTRIBUTES.items()}
        self._span.set_attributes(
            {name: value for name, value in told.items() if value is not None}
        )
        if fields["ttft_ms"] is not None:
            at_ns = self._began_ns + 10**6 * fields["ttft_ms"]
            self._span.add_event(FIRST_TOKEN, timestamp=at_ns)
        if (fields["status"] or 0) >= 500:
            self._span.set_status(StatusCode.ERROR, fields["code"])
        self._span.end()
