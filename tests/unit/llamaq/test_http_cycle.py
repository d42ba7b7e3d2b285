"""An answer leaves in few writes, and as HTTP says."""

import asyncio
from collections.abc import Sequence

import pytest
from starlette.types import Message, Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from llamaq.http_cycle import News
from llamaq.http_limits import BoundedProtocol
from testing.wire import Wire

GET = b"GET /x HTTP/1.1\r\nHost: llamaq\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
Piece = tuple[bytes, bool]


class App:
    """Answers each request with these headers and pieces; what it receives comes into `heard`."""

    def __init__(self, headers: Sequence[tuple[bytes, bytes]], pieces: Sequence[Piece]) -> None:
        self.heard: list[Message] = []
        self.listeners: list[asyncio.Task[None]] = []
        self._headers, self._pieces = headers, pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.heard.append(await receive())
        self.listeners.append(asyncio.create_task(self._listen(receive)))
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        for body, more_body in self._pieces:
            await send({"type": "http.response.body", "body": body, "more_body": more_body})

    async def _listen(self, receive: Receive) -> None:
        self.heard.append(await receive())


async def answered(app: App, request: bytes = GET) -> Wire:
    """What a connection has got once all its tasks are over."""
    config, state, wire = Config(app, log_config=None), ServerState(), Wire()
    config.load()
    protocol = BoundedProtocol(config, state, {})
    protocol.connection_made(wire)
    protocol.data_received(request)
    while state.tasks:
        await asyncio.wait(set(state.tasks))
    await asyncio.gather(*app.listeners)
    return wire


def length(size: int) -> tuple[bytes, bytes]:
    return (b"Content-Length", b"%d" % size)


async def test_whole_answer_is_one_write() -> None:
    wire = await answered(App([length(2)], [(b"ab", False)]))
    assert wire.writes == [OK + b"content-length: 2\r\n\r\nab"]
    assert wire.is_open


async def test_stream_has_its_head_with_its_first_piece_and_its_end_with_the_last() -> None:
    wire = await answered(App([], [(b"ab", True), (b"", True), (b"cde", True), (b"f", False)]))
    head = OK + b"transfer-encoding: chunked\r\n\r\n"
    assert wire.writes == [head + b"2\r\nab\r\n", b"3\r\ncde\r\n", b"1\r\nf\r\n0\r\n\r\n"]


async def test_stream_may_end_with_an_empty_piece() -> None:
    wire = await answered(App([], [(b"ab", True), (b"", False)]))
    assert wire.writes[1:] == [b"0\r\n\r\n"]


async def test_head_request_has_no_body() -> None:
    wire = await answered(App([length(2)], [(b"ab", False)]), b"HEAD" + GET[3:])
    assert wire.writes == [OK + b"content-length: 2\r\n\r\n"]


async def test_connection_ends_where_either_side_says_so() -> None:
    by_app = await answered(App([length(1), (b"Connection", b"close")], [(b"a", False)]))
    by_client = await answered(
        App([length(1)], [(b"a", False)]), GET[:-2] + b"Connection: close\r\n\r\n"
    )
    old = await answered(App([length(1)], [(b"a", False)]), GET.replace(b"1.1", b"1.0"))
    closing = [OK + b"content-length: 1\r\nconnection: close\r\n\r\na"]
    assert [wire.writes for wire in (by_app, by_client, old)] == [closing] * 3
    assert not any(wire.is_open for wire in (by_app, by_client, old))


@pytest.mark.parametrize("body", [b"a", b"abc"])
async def test_answer_of_another_length_than_it_said_ends_the_connection(body: bytes) -> None:
    wire = await answered(App([length(2)], [(body, False)]))
    assert not wire.is_open


@pytest.mark.parametrize("header", [(b"a", b"b\r\nc: d"), (b"a:", b"b"), (b"a\n", b"b")])
async def test_header_can_t_begin_another_one(header: tuple[bytes, bytes]) -> None:
    wire = await answered(App([header, length(1)], [(b"a", False)]))
    assert not wire.writes
    assert not wire.is_open


async def test_who_still_listens_hears_of_the_end() -> None:
    app = App([length(1)], [(b"a", False)])
    await answered(app)
    assert [message["type"] for message in app.heard] == ["http.request", "http.disconnect"]


async def test_requests_behind_each_other_are_answered_in_turn() -> None:
    wire = await answered(App([length(1)], [(b"a", False)]), GET + GET)
    assert wire.writes == [OK + b"content-length: 1\r\n\r\na"] * 2


async def test_news_is_for_all_who_wait_and_for_who_comes_late() -> None:
    news = News(asyncio.get_running_loop())
    waiting = [asyncio.create_task(news.wait()) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    news.set()
    await asyncio.gather(*waiting, return_exceptions=True)
    await news.wait()
    assert waiting[0].cancelled()
    assert not waiting[1].cancelled()
