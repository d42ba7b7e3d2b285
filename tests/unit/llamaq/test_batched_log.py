"""Lines of requests are written together, soon, and in their order."""

import asyncio
import io
import logging
import re
from collections.abc import Iterator

import pytest

from api.request_log import LINES, Record, flush, write
from llamaq.batched_log import _MOST, BatchedHandler
from llamaq.log_forms import TextForm
from llamaq.logs import batch_lines

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
        return [line.partition(" id=")[2].split()[0] for line in self.getvalue().splitlines()]


@pytest.fixture
def stream() -> Iterator[Stream]:
    stream = Stream()
    handler = BatchedHandler(stream, TextForm())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel("INFO")
    batch_lines()
    yield stream
    LINES.take = LINES.log_now
    root.removeHandler(handler)
    root.setLevel(level)


def end_request(name: str) -> None:
    write(Record(name), "/v1/chat/completions")


async def test_lines_of_requests_are_written_at_once_and_soon(stream: Stream) -> None:
    for number in range(20):
        end_request(f"{number}")
    assert stream.writes == 0
    async with asyncio.timeout(30):
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
    parts = ("id=a ", " b\nTraceback", "Error\n", "id=c ", " d\n")
    assert [shown.index(text) for text in parts] == sorted(shown.index(text) for text in parts)


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
    batch_lines()
    end_request("x")
    flush()
    assert stream.messages == []


def test_lines_of_fields_stand_in_the_same_columns_as_all_others() -> None:
    record = logging.LogRecord("llamaq.access", logging.INFO, "", 0, "id=x", (), None)
    record.created, record.msecs = 1795741824.25, 250.0
    line = TextForm().format(record)
    values = ("x", *[None] * (len(LINES.names) - 1))
    assert TextForm().lines([(record.created, LINES, values)]) == f"{line}\n"
    pattern = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,250 INFO    llamaq.access   id=x"
    assert re.fullmatch(pattern, line)
