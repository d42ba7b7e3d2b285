"""The head of an answer does not leave by itself, and never too late."""

import asyncio

import pytest

from llamaq.joined_writes import JoinedWrites

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Recorded(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, data: object) -> None:
        assert isinstance(data, bytes)
        self.writes.append(data)

    def close(self) -> None:
        self.writes.append(b"closed")

    def is_closing(self) -> bool:
        return self.writes[-1:] == [b"closed"]


def joined() -> tuple[JoinedWrites, list[bytes]]:
    recorded = Recorded()
    return JoinedWrites(recorded, asyncio.get_running_loop()), recorded.writes


async def test_head_leaves_with_the_first_piece_of_its_body() -> None:
    transport, writes = joined()
    for data in (HEAD, b"ab", b"cd"):
        transport.write(data)
    await asyncio.sleep(0)
    assert writes == [HEAD + b"ab", b"cd"]
    transport.write(HEAD)
    transport.write(b"")
    assert writes[2:] == [HEAD]


async def test_head_waits_no_longer_than_a_round() -> None:
    transport, writes = joined()
    transport.write(HEAD)
    assert not writes
    await asyncio.sleep(0)
    assert writes == [HEAD]


async def test_head_leaves_before_its_connection_is_closed() -> None:
    transport, writes = joined()
    transport.write(HEAD)
    transport.close()
    assert writes == [HEAD, b"closed"]
    assert transport.is_closing()


async def test_what_is_no_head_alone_leaves_at_once() -> None:
    transport, writes = joined()
    sent = [b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + b"ab", b"0\r\n\r\n"]
    for data in sent:
        transport.write(data)
    assert writes == sent
