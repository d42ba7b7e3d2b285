"""Sends the traces of a process to an OpenTelemetry collector, where that is asked for."""

import logging
import os
from typing import TYPE_CHECKING

import click

from dispatcher.traces import TRACES

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

SETTING = "LLAMAQ_TRACES"
"""1: on, 0: off. Without it an address of a collector (`OTEL_…_ENDPOINT`) turns them on."""

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_MISSING = (
    "traces need the extra `traces`: install '.[traces]' as README.md says, or set LLAMAQ_TRACES=0"
)

log = logging.getLogger("llamaq.traces")

_providers: list["TracerProvider"] = []


def set_up_traces(service: str) -> None:
    """From now on the requests of this process are traced, if that is asked for.

    `service` is the name of the program for those who look at traces. Raises `click.UsageError`
    where the extra is not installed.
    """
    setting = os.environ.get(SETTING, "").strip().lower()
    is_asked_for = setting in ("1", "true", "yes", "on")
    has_collector = any(os.environ.get(name) for name in _ENDPOINTS)
    is_off = setting in ("0", "false", "no", "off") or not (is_asked_for or has_collector)
    if is_off or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return
    try:
        provider = _provider(service)
    except ImportError as error:
        if is_asked_for:
            raise click.UsageError(f"{_MISSING} ({error.name} is not there)") from error
        log.warning("a collector is named, but %s", _MISSING)
        return
    _providers.append(provider)
    TRACES.tracer = provider.get_tracer("llamaq")


def end_traces() -> None:
    """Sends what is left, for some seconds at most. Nothing is traced any more."""
    TRACES.tracer = None
    while _providers:
        _providers.pop().shutdown()


def _provider(service: str) -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = os.environ.get("OTEL_SERVICE_NAME") or service
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
