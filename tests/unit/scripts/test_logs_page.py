"""docs/logs.md names each field of the log and each attribute of a span, and no other."""

import re
from pathlib import Path

import pytest

from api import request_log, request_trace
from worker_bridge import attempt_log, attempt_trace
from worker_bridge.ends import CONSEQUENCES
from worker_bridge.stop import Stop

PAGE = (Path(__file__).parents[3] / "docs" / "logs.md").read_text()


def table(heading: str) -> list[tuple[list[str], str]]:
    """The rows of the last table below a heading: the words in code of its first column, and the
    second column.
    """
    section = PAGE.partition(f"\n## {heading}")[2].partition("\n## ")[0]
    last = re.split(r"\n\|[-|]+\|\n", section)[-1]
    rows = re.findall(r"^\| ([^|]*) \| (.*) \|$", last, re.MULTILINE)
    return [(re.findall(r"`([^`]+)`", first), second) for first, second in rows]


@pytest.mark.parametrize(
    ("heading", "fields"),
    [
        ("A request", request_log.FIELDS),
        ("An attempt", attempt_log.FIELDS),
    ],
)
def test_page_has_each_field(heading: str, fields: tuple[str, ...]) -> None:
    named = [name for names, _ in table(heading) for name in names]
    assert sorted(named) == sorted(fields)


def test_page_has_each_attribute() -> None:
    named = {
        attribute: field
        for attributes, fields in table("Traces")
        for attribute, field in zip(attributes, re.findall(r"`([^`]+)`", fields), strict=True)
    }
    known = request_trace.ATTRIBUTES | attempt_trace.ATTRIBUTES
    assert named == {attribute: field for field, attribute in known.items()}


def test_page_names_only_ends_and_stops_that_there_are() -> None:
    rows = {names[0]: told for names, told in table("An attempt")}
    ends = re.findall(r"`([a-z_]+)`", rows["end"])
    assert set(ends) <= {end.name.lower() for end in CONSEQUENCES}
    assert set(re.findall(r"`(\w+)`", rows["stopped"])) <= set(Stop)
    for name in (attempt_log.ANSWERED, attempt_log.REQUEUED, attempt_log.NOT_OURS):
        assert f"`{name}`" in rows["became"]


@pytest.mark.parametrize(
    "name", [request_trace.WAIT, attempt_trace.NAME, request_trace.FIRST_TOKEN]
)
def test_page_has_each_span_and_event(name: str) -> None:
    assert f"`{name}`" in PAGE
