"""One request is one trace, from its client to llama-server: a real collector's side of it."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from dispatcher.traces import TRACES
from llamaq.traces import set_up_traces
from testing.builders import make_chat, make_token
from testing.fake_llama_server import Chat, FakeLlamaServer, Reply, answer
from testing.processes import answers, api, llamaq, program, valkey
from testing.waiting import until

pytestmark = pytest.mark.real

PROMPT = "the-words-of-a-prompt"
CLIENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{CLIENT[0]}-{CLIENT[1]}-01"


@dataclass
class Collector:
    """What a collector has got over OTLP/HTTP."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)

    @property
    def spans(self) -> list[tuple[str, Span]]:
        """Each with the name of its service."""
        found = []
        for body in self.bodies:
            for of_service in ExportTraceServiceRequest.FromString(body).resource_spans:
                told = {each.key: each.value for each in of_service.resource.attributes}
                for scope in of_service.scope_spans:
                    found += [(told["service.name"].string_value, span) for span in scope.spans]
        return found

    def named(self, name: str) -> list[Span]:
        return [span for _, span in self.spans if span.name == name]


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            collector.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    collector.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def fail(chat: Chat) -> None:
    await chat.refuse(500, f"Compute error: {PROMPT}")


def attributes(span: Span) -> dict[str, Any]:
    return {
        each.key: getattr(each.value, str(each.value.WhichOneof("value")))
        for each in span.attributes
    }


@dataclass
class Traced:
    """An API and a bridge of two servers that send their traces to a collector."""

    url: str
    collector: Collector
    script: deque[Reply]
    servers: tuple[FakeLlamaServer, FakeLlamaServer]

    async def ask(self, **headers: str) -> httpx.Response:
        token = {"Authorization": f"Bearer {make_token()}"}
        asked = make_chat(messages=[{"role": "user", "content": PROMPT}], model="traced")
        async with httpx.AsyncClient(base_url=self.url, timeout=30) as client:
            path = "/v1/chat/completions?key=secret"
            return await client.post(path, content=asked, headers=token | headers)


@pytest.fixture
async def traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Traced]:
    script: deque[Reply] = deque()
    first, second = [FakeLlamaServer("traced", script) for _ in range(2)]
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    async with first.running(), second.running():
        with collecting() as collector, valkey(tmp_path) as redis_url:
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
            named = [word for each in (first, second) for word in ("--server", each.url)]
            words = llamaq("bridge", "--name", "w", *named)
            log, queue = tmp_path / "bridge.log", {"LLAMAQ_REDIS_URL": redis_url}
            with program(words, log, queue), api(redis_url, tmp_path / "api.log") as (_, url):
                await until(lambda: asyncio.to_thread(answers, f"{url}/ready"))
                yield Traced(url, collector, script, (first, second))


async def test_request_with_a_retried_attempt_is_one_trace(traced: Traced) -> None:
    traced.script.extend([fail, answer])
    asked = await traced.ask(traceparent=TRACEPARENT)
    assert asked.status_code == 200
    collector = traced.collector

    def is_whole() -> bool:
        has_request = bool(collector.named("POST /v1/chat/completions"))
        return has_request and len(collector.named("attempt")) == 2

    await until(is_whole)
    assert {span.trace_id.hex() for _, span in collector.spans} == {CLIENT[0]}
    (request,) = collector.named("POST /v1/chat/completions")
    assert request.parent_span_id.hex() == CLIENT[1]
    attempts, waits = collector.named("attempt"), collector.named("wait in the queue")
    assert waits  # two, where the API hears of the first attempt before that fails
    assert {each.parent_span_id for each in attempts + waits} == {request.span_id}
    of_services = {(service, span.name) for service, span in collector.spans}
    assert of_services == {
        ("llamaq-api", request.name),
        ("llamaq-api", "wait in the queue"),
        ("llamaq-bridge", "attempt"),
    }
    failed, answered = sorted(attempts, key=lambda span: span.start_time_unix_nano)
    assert (attributes(failed)["llamaq.end"], failed.status.code) == ("worker", 2)
    assert (attributes(failed)["llamaq.became"], attributes(answered)["llamaq.became"]) == (
        ("requeued", "answered")
    )
    assert [event.name for event in answered.events] == ["first token"]
    assert [event.name for event in request.events] == ["first token"]
    ids = {attributes(span)["llamaq.request.id"] for span in (request, failed, answered)}
    assert ids == {asked.headers["x-request-id"]}
    told = [head for server in traced.servers for head in server.heads]
    names = {f"traceparent: 00-{CLIENT[0]}-{each.span_id.hex()}-01\r\n" for each in attempts}
    assert len([head for head in told if any(name in head for name in names)]) == 2
    for word in (PROMPT, "Hello", "secret", make_token().rpartition(".")[2]):
        assert not [body for body in collector.bodies if word.encode() in body]


async def test_refused_request_is_traced_too_and_one_that_is_not_sampled_is_not(
    traced: Traced,
) -> None:
    assert (await traced.ask(traceparent=TRACEPARENT[:-1] + "0")).status_code == 200
    async with httpx.AsyncClient(base_url=traced.url) as client:
        assert (await client.post("/v1/chat/completions")).status_code == 401
        assert (await client.get("/v1/nothing")).status_code == 404

    await until(lambda: len(traced.collector.spans) >= 2)
    told = {(span.name, attributes(span)["error.type"]) for _, span in traced.collector.spans}
    assert told == {("POST /v1/chat/completions", "invalid_api_key"), ("GET", "not_found")}
    heads = [head for server in traced.servers for head in server.heads]
    (head,) = [head for head in heads if head.startswith("POST /v1/chat/completions ")]
    assert f"traceparent: 00-{CLIENT[0]}-" in head
    assert "-00\r\n" in head


def test_without_the_extra_a_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    with caplog.at_level(logging.WARNING, "llamaq.traces"):
        set_up_traces("llamaq-api")  # somebody else's setting stops nothing
    assert "install '.[traces]' as README.md says" in caplog.text
    monkeypatch.setenv("LLAMAQ_TRACES", "1")
    with pytest.raises(click.UsageError, match=r"install '\.\[traces\]' as README.md says"):
        set_up_traces("llamaq-api")
    assert TRACES.tracer is None


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"LLAMAQ_TRACES": "0", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
        {"LLAMAQ_TRACES": "1", "OTEL_SDK_DISABLED": "true"},
    ],
    ids=["nothing is set", "off", "disabled"],
)
def test_off_means_off(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    set_up_traces("llamaq-api")
    assert TRACES.tracer is None
