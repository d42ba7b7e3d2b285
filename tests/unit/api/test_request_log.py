"""The log line of a request."""

import logging

import pytest

from api.request_log import FIELDS, Record, write
from dispatcher.log_lines import MOST_CHARS


def line_of(record: Record, caplog: pytest.LogCaptureFixture) -> str:
    caplog.set_level(logging.INFO, "llamaq.access")
    write(record, "/v1/chat/completions")
    (message,) = caplog.messages
    return message.rpartition(" ms=")[0]


def test_line_has_what_is_known_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    record = Record("r1", tenant="ann", status=401)
    assert line_of(record, caplog) == "id=r1 status=401 tenant=ann"


def test_client_cannot_forge_a_field_or_a_line(caplog: pytest.LogCaptureFixture) -> None:
    record = Record("r1", path="/a\u2028b\x1b[2J", tenant="ann status=200", model='x"\nid=r2')
    assert line_of(record, caplog) == (
        r'id=r1 path="/a\u2028b\u001b[2J" tenant="ann status\u003d200" model="x\"\nid\u003dr2"'
    )


def test_long_texts_are_cut(caplog: pytest.LogCaptureFixture) -> None:
    record = Record("r1", model="x" * 10_000)
    assert line_of(record, caplog) == f"id=r1 model={'x' * MOST_CHARS}"


def test_probes_have_no_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "llamaq.access")
    write(Record("r1"), "/v1/health")
    assert not caplog.messages


def test_record_has_each_field() -> None:
    not_in_the_log = {"began_at", "ignored", "trace", "retries", "continuations"}
    assert set(FIELDS) == {*Record.__slots__} - not_in_the_log
