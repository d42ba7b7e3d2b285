"""What is refused before the app sees it has a line in the log too."""

import asyncio
import logging
from typing import Any

import pytest
from starlette.types import Message

from api.edge import Edge
from api.proxies import Proxies, read_proxies
from api.request_metrics import RequestMetrics
from llamaq.http_answers import MOST_HEADERS, TOO_SLOW
from llamaq.http_limits import BoundedProtocol
from llamaq.places import Places, serve_refusal, too_many_of_an_address
from tests.unit.llamaq.test_http_limits import HEAD, Server, until_left


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "llamaq.access")


class BehindProxy(BoundedProtocol):
    places = Places(99, 1, Proxies(read_proxies("127.0.0.1")))


def message_of(caplog: pytest.LogCaptureFixture) -> str:
    (message,) = caplog.messages
    return message.rpartition(" ms=")[0]


ASKED = "method=POST path=/v1/chat/completions"


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (
            HEAD + b"a: b\r\n" * (MOST_HEADERS + 1),
            f"id=- {ASKED} status=431 code=headers_too_large",
        ),
        (b"\x16\x03\x01\x02\x00\x1b[2J\r\n\r\n", "id=- status=400 code=invalid_http"),
        (
            b"POST /v1/chat/completions?key=x HTTP/1.1\r\n\r\n",
            f"id=- {ASKED} status=400 code=invalid_host",
        ),
    ],
    ids=["431", "no HTTP", "no host"],
)
async def test_refusal_before_the_app(
    caplog: pytest.LogCaptureFixture, sent: bytes, told: str
) -> None:
    protocol, _ = Server().connect(host="192.0.2.7")
    protocol.data_received(sent)
    assert message_of(caplog) == f"{told} peer=192.0.2.7"


async def test_peer_by_ipv4_is_told_so_on_a_socket_for_ipv6_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    protocol, _ = Server().connect(host="::ffff:192.0.2.7")
    protocol.data_received(HEAD + b"a: b\r\n" * (MOST_HEADERS + 1))
    assert message_of(caplog).endswith("code=headers_too_large peer=192.0.2.7")


async def test_peer_is_who_is_behind_a_trusted_proxy(caplog: pytest.LogCaptureFixture) -> None:
    protocol, _ = Server().connect(BehindProxy)
    forwarded = b"X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\n"
    protocol.data_received(HEAD + forwarded + b"a: b\r\n" * MOST_HEADERS)
    assert message_of(caplog).endswith("code=headers_too_large peer=192.0.2.7")


async def test_app_is_told_who_is_behind_a_trusted_proxy() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["client"])

    scope = {"headers": [(b"x-forwarded-for", b"192.0.2.7")], "client": ("127.0.0.1", 9)}
    await BehindProxy.places.serve_proxy(app, scope, None, None)  # type: ignore[arg-type]
    assert seen == [("192.0.2.7", 0)]


async def test_address_with_too_many_connections(caplog: pytest.LogCaptureFixture) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    scope = {"method": "GET", "path": "/v1/models", "client": ("192.0.2.7", 9)}
    error = too_many_of_an_address(5)
    await serve_refusal(error, None, scope, receive, send)  # type: ignore[arg-type]
    id_ = dict(sent[0]["headers"])[b"x-request-id"].decode()
    told = "method=GET path=/v1/models status=429 code=too_many_connections peer=192.0.2.7"
    assert message_of(caplog) == f"id={id_} {told}"


async def test_request_that_the_app_serves_has_one_line_and_that_the_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Owner:
        def build_middleware_stack(self) -> Any:
            return until_left

    server = Server()
    server.config.loaded_app = Edge(Owner(), {}, RequestMetrics({}))  # type: ignore[arg-type]
    protocol, _ = server.connect()
    protocol.data_received(HEAD + b"Content-Length: 9\r\n\r\n1")
    await asyncio.sleep(0)
    protocol._end(TOO_SLOW)
    await asyncio.sleep(0.01)
    assert f"{ASKED} status=408 code=request_too_slow" in message_of(caplog)
