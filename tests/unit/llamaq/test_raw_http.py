"""Raw bytes against the whole app: each trick gets a defined answer, and one for each request."""

import asyncio
import re
from collections.abc import Iterator, Sequence

import pytest
from starlette.types import ASGIApp
from uvicorn import Config
from uvicorn.server import ServerState

from api import refusal
from api.context import Context
from llamaq.http_limits import BODY_S, BoundedProtocol, look_at_all
from llamaq.places import Places
from testing.builders import make_chat
from testing.raw_requests import AUTH, CHUNKED, GET, TRICKS, Trick, post
from testing.service import ANSWER, scripted_app
from testing.wire import Wire

AT_ONCE = 256 * 1024  # bytes that uvloop reads
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) [A-Z]")


class Api:
    """The app behind one protocol, and what it has of its clients."""

    def __init__(self) -> None:
        app, self.queue, _ = scripted_app()
        self.context: Context = app.state.context
        self.app: ASGIApp = app.middleware_stack  # type: ignore[assignment]


@pytest.fixture(scope="module")
def api() -> Api:
    return Api()


class Visit:
    """One connection to it."""

    def __init__(self, api: Api) -> None:
        class Protocol(BoundedProtocol):
            places = Places(1)

        config, self.state = Config(api.app, log_config=None), ServerState()
        config.load()
        self.api, self.places, self.wire = api, Protocol.places, Wire("192.0.2.1")
        self.protocol = Protocol(config, self.state, {})
        self.protocol.connection_made(self.wire)

    async def send(self, pieces: Iterator[bytes]) -> None:
        """Sends them, and waits until nothing goes on without more from the client."""
        for piece in pieces:
            if not self.wire.is_open:
                break
            self.protocol.data_received(piece)
        await self.rest()

    async def rest(self) -> None:
        for _ in range(100):
            await asyncio.sleep(0)
            if not self.state.tasks:
                break

    async def end(self) -> None:
        self.protocol.connection_lost(None)
        await self.rest()
        assert not self.state.tasks
        assert not self.state.connections
        assert self.places.taken == 0
        assert self.api.context.line.counts() == (0, 0, 0)
        assert self.api.context.room.held_bytes == 0


def statuses(sent: bytes) -> Sequence[int]:
    return [int(status) for status in STATUS.findall(sent)]


def pieces(sent: bytes, size: int) -> Iterator[bytes]:
    return (sent[at : at + size] for at in range(0, len(sent), size))


def test_there_are_many_tricks() -> None:
    assert len({trick.sent for trick in TRICKS.values()}) >= 150


@pytest.mark.parametrize("is_whole", [True, False])
@pytest.mark.parametrize("name", TRICKS)
async def test_trick_gets_one_defined_answer_for_each_request_and_leaves_nothing(
    api: Api,
    name: str,
    is_whole: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """At d26fdb4 M3: huge headers, headers without an end and half requests stayed."""
    trick: Trick = TRICKS[name]
    monkeypatch.setattr(refusal, "_LAST_S", 0.0)
    caplog.set_level("INFO")
    api.queue.jobs.clear()
    visit = Visit(api)
    size = 1 if len(trick.sent) < 3000 else 997
    await visit.send(pieces(trick.sent, AT_ONCE if is_whole else size))
    assert trick.waits == (visit.protocol._is_coming and visit.wire.is_open)
    if trick.waits:
        now = asyncio.get_running_loop().time()
        look_at_all(visit.state.connections, now + BODY_S + 1)
        await visit.rest()
    assert statuses(visit.wire.sent) == trick.answers
    assert visit.wire.is_open != trick.ends
    assert len(api.queue.jobs) == trick.jobs
    assert b"\r\nlocation:" not in visit.wire.sent.lower()
    assert b"evil.example" not in visit.wire.sent or trick.answers == [404]
    await visit.end()
    assert all(record.getMessage().isprintable() for record in caplog.records)


async def test_odd_bytes_behind_an_early_answer_get_no_second_one(api: Api) -> None:
    visit = Visit(api)
    await visit.send(iter([post(CHUNKED, body=b"").replace(AUTH, b"")]))
    assert statuses(visit.wire.sent) == [401]
    assert visit.wire.is_open
    await visit.send(iter([b"odd bytes\r\n"]))
    assert statuses(visit.wire.sent) == [401]
    assert not visit.wire.is_open
    await visit.end()


@pytest.mark.parametrize("odd", [b"odd bytes\r\n\r\n", post(CHUNKED, body=b"odd bytes\r\n")])
async def test_odd_bytes_in_the_middle_of_a_stream_end_it_and_add_nothing(
    api: Api, odd: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uvicorn writes a whole answer into the stream."""
    monkeypatch.setattr(api.queue, "frames", ANSWER[:2])
    visit, body = Visit(api), make_chat(stream=True)
    await visit.send(iter([post(b"Content-Length: %d\r\n" % len(body), body=body)]))
    before = visit.wire.sent
    assert before.endswith(b"}\n\n\r\n")
    await visit.send(iter([odd]))
    assert visit.wire.sent == before
    assert not visit.wire.is_open
    assert not visit.state.tasks  # the request has heard of it
    await visit.end()


async def test_odd_bytes_behind_requests_that_wait_get_the_answer_of_none(api: Api) -> None:
    visit = Visit(api)
    await visit.send(iter([GET + post(CHUNKED, body=b"odd bytes\r\n")]))
    assert statuses(visit.wire.sent) == []
    assert not visit.wire.is_open
    await visit.end()
