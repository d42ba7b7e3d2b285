"""Who is refused at the door: the bytes of a client against a protocol with a line behind it."""

import asyncio
import logging

import pytest

from api.door import Door
from api.line import Line
from api.request_metrics import RequestMetrics
from llamaq.http_limits import BoundedProtocol
from testing.builders import make_authenticator, make_token
from testing.wire import Wire
from tests.unit.llamaq.test_http_limits import Server

REQUESTS = RequestMetrics({})
PATH = "/v1/chat/completions"
BODY = b"0123456789"


@pytest.fixture
def line() -> Line:
    """It is far too long."""
    line = Line()
    for _ in range(20):
        line.enter("me")
    return line


@pytest.fixture
async def connection(line: Line, monkeypatch: pytest.MonkeyPatch) -> tuple[BoundedProtocol, Wire]:
    """To an app that answers with the size of the body."""

    class AtDoor(BoundedProtocol):
        door = Door(line, make_authenticator(), {PATH, "/chat/completions/"}, REQUESTS)

    monkeypatch.setattr(Line, "expected_wait_s", 9.0)
    monkeypatch.setattr(line, "long_since", float("-inf"))
    return Server().connect(AtDoor)


def request(
    *headers: str, method: str = "POST", path: str = PATH, version: str = "1.1", token: str = ""
) -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: llamaq", f"Content-Length: {len(BODY)}"]
    lines += [f"Authorization: Bearer {token or make_token()}", *headers, "", ""]
    return "\r\n".join(lines).encode() + BODY


async def test_refused_request_costs_nothing_more_and_its_connection_is_used_again(
    connection: tuple[BoundedProtocol, Wire],
    line: Line,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    protocol, wire = connection
    caplog.set_level(logging.INFO, "llamaq.access")
    for path in (PATH, "/chat/completions/"):
        wire.writes.clear()
        protocol.data_received(request(path=path))
        head, _, body = wire.sent.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"\r\nretry-after: " in head
        assert b'"code":"overloaded"' in body
        assert b"\r\ncontent-length: %d\r\n" % len(body) in head
        name = head.partition(b"x-request-id: ")[2].split(b"\r\n")[0].decode()
        asked = f"id={name} method=POST path={path} status=503 code=overloaded peer=127.0.0.1"
        assert f"{asked} tenant=me ms=" in caplog.text
    assert not protocol.tasks
    monkeypatch.setattr(line, "long_since", None)
    wire.writes.clear()
    protocol.data_received(request())
    await asyncio.sleep(0.01)
    assert wire.sent.endswith(b"\r\n\r\n%d" % len(BODY))
    assert wire.is_open


async def test_body_of_a_refused_request_is_thrown_away(
    connection: tuple[BoundedProtocol, Wire],
) -> None:
    protocol, wire = connection
    whole = request()
    for byte in whole:
        protocol.data_received(bytes([byte]))
    protocol.data_received(whole)
    assert wire.sent.count(b"HTTP/1.1 503 ") == 2


async def test_connection_of_a_refused_request_is_idle_once_all_of_it_is_there(
    connection: tuple[BoundedProtocol, Wire],
) -> None:
    protocol, wire = connection
    whole = request()
    protocol.data_received(whole[:-3])
    assert wire.sent.startswith(b"HTTP/1.1 503 ")
    protocol.data_received(whole[-3:])
    assert protocol.timeout_keep_alive_task is not None
    protocol.data_received(whole + request(path="/v1/embeddings"))
    assert protocol.timeout_keep_alive_task is None  # one is served


async def test_first_of_two_tokens_counts_here_too(
    connection: tuple[BoundedProtocol, Wire], line: Line
) -> None:
    line.is_closed_to = lambda tenant: tenant == "me"  # type: ignore[method-assign]
    protocol, wire = connection
    protocol.data_received(request(f"Authorization: Bearer {make_token(sub='few')}"))
    assert wire.sent.startswith(b"HTTP/1.1 503 ")


@pytest.mark.parametrize(
    "sent",
    [
        request(method="PUT"),
        request(path="/v1/embeddings"),
        request(token="none"),
        request(version="1.0"),
        request("Connection: close"),
        request("Origin: http://page"),
        request("Expect: 100-continue"),
        request(token=make_token(sub="few")),
    ],
)
async def test_whoever_is_no_plain_case_is_left_to_the_app(
    connection: tuple[BoundedProtocol, Wire], line: Line, sent: bytes
) -> None:
    line.is_closed_to = lambda tenant: tenant == "me"  # type: ignore[method-assign]
    protocol, wire = connection
    protocol.data_received(sent)
    await asyncio.sleep(0.01)
    assert wire.sent.endswith(b"\r\n\r\n%d" % len(BODY))


async def test_answers_keep_the_order_of_their_requests(
    connection: tuple[BoundedProtocol, Wire],
) -> None:
    protocol, wire = connection
    protocol.data_received(request(path="/v1/models") + request())
    await asyncio.sleep(0.01)
    assert wire.sent.startswith(b"HTTP/1.1 200 ")
    assert wire.sent.count(b"HTTP/1.1 ") == 2
