"""Values of metrics: how they add up, and what other processes and Prometheus see of them."""

import os
import time
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dispatcher import metrics
from dispatcher.listen_address import read_listen
from dispatcher.metric import Distribution
from dispatcher.metrics_text import metrics_text
from dispatcher.shared_sheets import SharedSheets, open_files
from dispatcher.sheet import Sheet, unpacked


def a_sheet(requests: float = 2, waited_s: float = 0.3) -> Sheet:
    sheet = Sheet()
    sheet.add(metrics.OPEN_REQUESTS, 1)
    sheet.add(metrics.RETRIES, requests, 'a "b"\n', "default")
    waits = Distribution(metrics.QUEUE_WAIT.bounds)
    waits.observe(waited_s)
    sheet.put(metrics.QUEUE_WAIT, waits, "m", "flex")
    return sheet


RETRIES = "llamaq_retries_total", 'a "b"\n', "default"


def samples(sheet: Sheet) -> dict[tuple[str | None, ...], float]:
    text, _ = metrics_text(sheet)
    families = text_string_to_metric_families(text.decode())
    found = [sample for family in families for sample in family.samples]
    return {(one.name, *map(one.labels.get, sorted(one.labels))): one.value for one in found}


@pytest.fixture
def files() -> Iterator[list[int]]:
    opened = open_files(2)
    yield opened
    for each in opened:
        os.close(each)


def test_prometheus_reads_what_was_counted() -> None:
    found = samples(a_sheet())
    assert found["llamaq_open_requests",] == 1
    assert found[RETRIES] == 2
    assert found["llamaq_queue_wait_seconds_sum", "m", "flex"] == 0.3
    name = "llamaq_queue_wait_seconds_bucket"
    assert [found[name, le, "m", "flex"] for le in ("0.25", "0.5", "+Inf")] == [0, 1, 1]


def test_openmetrics_is_told_where_it_is_asked_for() -> None:
    text, content_type = metrics_text(a_sheet(), "application/openmetrics-text;version=1.0.0")
    assert (text.endswith(b"# EOF\n"), "openmetrics" in content_type) == (True, True)


def test_sheets_add_up_and_survive_being_packed() -> None:
    both = unpacked(a_sheet().packed())
    both.take(a_sheet(requests=5, waited_s=900))
    found = samples(both)
    assert found["llamaq_open_requests",] == 2
    assert found[RETRIES] == 7
    name = "llamaq_queue_wait_seconds_bucket"
    assert [found[name, le, "m", "flex"] for le in ("600.0", "+Inf")] == [1, 2]


def test_a_process_sees_what_another_one_has_written_last(files: list[int]) -> None:
    one, other = SharedSheets(files), SharedSheets(files[::-1])
    assert samples(other.others()[0]) == {}
    for requests in (1, 2, 3):
        one.write(a_sheet(requests))
        assert samples(other.others()[0]) == samples(a_sheet(requests))


def test_counts_of_a_process_that_died_outlive_it_and_its_gauges_do_not(files: list[int]) -> None:
    SharedSheets(files).write(a_sheet())
    after = SharedSheets(files)
    before = samples(after.before)
    assert before[RETRIES] == 2
    assert before["llamaq_queue_wait_seconds_count", "m", "flex"] == 1
    assert ("llamaq_open_requests",) not in before


def test_gauges_of_a_process_that_writes_no_more_are_gone(
    files: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = SharedSheets(files), SharedSheets(files[::-1])
    one.write(a_sheet())
    assert ("llamaq_open_requests",) in samples(other.others()[0])
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 20)
    assert ("llamaq_open_requests",) not in samples(other.others()[0])
    assert samples(other.others()[0])[RETRIES] == 2


def test_a_sheet_that_is_half_written_counts_for_nothing(files: list[int]) -> None:
    shared = SharedSheets(files)
    for requests in (1, 2):
        shared.write(a_sheet(requests))
    head = os.pread(files[0], 32, 0)
    size = int.from_bytes(head[16:24], "big")
    os.pwrite(files[0], bytes(size // 2), 32)  # it died while it wrote the second one
    assert samples(SharedSheets(files).before)[RETRIES] == 1
    shared.write(a_sheet(3))
    assert samples(SharedSheets(files).before)[RETRIES] == 3


@pytest.mark.parametrize("text", ["", "9464", "localhost:9464", "127.0.0.1", "127.0.0.1:99999"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"such as 127\.0\.0\.1:9464"):
        read_listen(text)


def test_an_address_is_read_as_it_is_written() -> None:
    assert str(read_listen("127.0.0.1:9464").next(1)) == "127.0.0.1:9465"
    assert str(read_listen("[::1]:9464")) == "[::1]:9464"
