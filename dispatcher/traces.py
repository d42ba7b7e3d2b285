"""Traces of requests (OpenTelemetry, W3C Trace Context). While they are off it loads nothing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

HEADER = "traceparent"

_VALID = re.compile("00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(slots=True)
class Traces:
    """Those of this process. `tracer` makes their spans; without it they are off."""

    tracer: "Tracer | None" = None


TRACES = Traces()


def valid_trace(text: str) -> str:
    """The value of a `traceparent`, "" where it is none.

    >>> valid_trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\\r\\nX: y")
    ''
    """
    return text if _VALID.fullmatch(text) else ""


def context_of(headers: Mapping[str, str]) -> "Context":
    """The span that asks, as the headers `traceparent` and `tracestate` name it."""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract(headers)


def traceparent_of(span: "Span") -> str:
    """The `traceparent` for those that this span asks."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
