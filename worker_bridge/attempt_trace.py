"""The span of an attempt, where requests are traced."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dispatcher.job import Claim
from dispatcher.traces import HEADER, TRACES, context_of, traceparent_of

if TYPE_CHECKING:
    from opentelemetry.trace import Span

NAME = "attempt"
FIRST_TOKEN = "first token"  # noqa: S105

# The field of the log line -> the attribute of the span, in OpenTelemetry's words where it has one.
ATTRIBUTES = {
    **{"id": "llamaq.request.id", "choice": "llamaq.choice", "path": "url.path"},
    **{"end": "llamaq.end", "became": "llamaq.became", "stopped": "llamaq.stopped"},
    **{"status": "http.response.status_code", "reason": "llamaq.reason"},
    **{"model": "gen_ai.request.model", "worker": "llamaq.worker", "attempt": "llamaq.attempt"},
    **{"slot_ms": "llamaq.slot_ms", "prompt_tokens": "gen_ai.usage.input_tokens"},
    **{"cached_tokens": "gen_ai.usage.cache_read.input_tokens"},
    **{"completion_tokens": "gen_ai.usage.output_tokens"},
    **{"tokens_per_s": "llamaq.tokens_per_s"},
}


class AttemptTrace:
    """The span of one attempt: `traceparent` names it to its server."""

    def __init__(self, span: "Span") -> None:
        self._span = span
        self._began_ns = time.time_ns()
        self.traceparent = traceparent_of(span)

    def end(self, fields: Mapping[str, Any], *, is_good: bool) -> None:
        """It is settled, and these are the fields of its log line."""
        from opentelemetry.trace import StatusCode

        span = self._span
        told = {attribute: fields[name] for name, attribute in ATTRIBUTES.items()}
        span.set_attributes({name: value for name, value in told.items() if value is not None})
        if fields["ttft_ms"] is not None:
            span.add_event(FIRST_TOKEN, timestamp=self._began_ns + 10**6 * fields["ttft_ms"])
        if not is_good:
            span.set_status(StatusCode.ERROR, fields["end"])
        span.end()


def begin_trace(claim: Claim) -> AttemptTrace | None:
    """The trace of a new attempt; None where this process traces nothing."""
    if TRACES.tracer is None:
        return None
    from opentelemetry.trace import SpanKind

    parent = context_of({HEADER: claim.trace})
    return AttemptTrace(TRACES.tracer.start_span(NAME, parent, SpanKind.CLIENT))
