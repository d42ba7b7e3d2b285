"""Lines of requests are written together, soon, and in their order."""

import asyncio
import io
import logging
import re
from collections.abc import Iterator
from functools import partial

import pytest

from api import request_log
from api.request_log import Record, flush, write
from llamaq.batched_log import _MOST, BatchedHandler, LineFormatter

other = logging.getLogger("llamaq.other")


class Stream(io.StringIO):
    """Counts the writes."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.written = asyncio.Event()

    def write(self, text: str) -> int:
        self.writes += 1
        self.written.set()
        return super().write(text)

    @property
    def messages(self) -> list[str]:
        return [line.rpartition("=")[2] for line in self.getvalue().splitlines()]


@pytest.fixture
def stream() -> Iterator[Stream]:
    stream = Stream()
    handler = BatchedHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel("INFO")
    before = request_log._Lines.take
    request_log.take_lines(partial(handler.add, request_log.log.name))
    yield stream
    request_log.take_lines(before)
    root.removeHandler(handler)
    root.setLevel(level)


def end_request(name: str) -> None:
    write(Record(name), "/v1/chat/completions")


async def test_lines_of_requests_are_written_at_once_and_soon(stream: Stream) -> None:
    for number in range(20):
        end_request(f"{number}")
    assert stream.writes == 0
    async with asyncio.timeout(5):
        await stream.written.wait()
    assert (stream.writes, stream.messages) == (1, [str(number) for number in range(20)])


async def test_any_other_line_comes_behind_those_that_wait(stream: Stream) -> None:
    end_request("a")
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        other.exception("b")
    end_request("c")
    other.info("d")
    shown = stream.getvalue()
    assert [shown.index(text) for text in ("=a\n", " b\nTraceback", "Error\n", "=c\n", " d\n")] == (
        sorted(shown.index(text) for text in ("=a\n", " b\nTraceback", "Error\n", "=c\n", " d\n"))
    )


async def test_many_lines_don_t_wait(stream: Stream) -> None:
    for _ in range(_MOST):
        end_request("x")
    assert stream.writes == 1


def test_nothing_waits_where_no_loop_runs(stream: Stream) -> None:
    end_request("x")
    assert stream.messages == ["x"]


async def test_lines_are_written_before_the_end(stream: Stream) -> None:
    end_request("x")
    flush()
    assert stream.messages == ["x"]


async def test_level_still_counts(stream: Stream) -> None:
    logging.getLogger().setLevel("WARNING")
    end_request("x")
    flush()
    assert stream.messages == []


def test_line_looks_as_logging_writes_it() -> None:
    usual = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    record = logging.LogRecord("llamaq.x", logging.INFO, "", 0, "%s", ("x",), None)
    record.created, record.msecs = 1795741824.25, 250.0
    line = LineFormatter().format(record)
    assert line == usual.format(record)
    assert line == LineFormatter().line(record.created, "INFO", "llamaq.x", "x")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,250 INFO llamaq.x x", line)
