"""No value of any field harms a server: at its limit it is answered, above it is a 400."""

from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest

from api.chat.fields import FORWARDED
from api.sampling_fields import OWN
from testing.builders import make_chat
from testing.field_cases import CASES, Case, tool
from tests.end_to_end.conftest import Fleet

pytestmark = pytest.mark.real

# A server keeps some of what it once took; the least of the attacks took hundreds.
MARGIN_MIB = 64


def rss_mib(fleet: Fleet) -> list[int]:
    return [psutil.Process(pid).memory_info().rss >> 20 for pid in fleet.server_pids]


@pytest.fixture(scope="module")
def before(fleet: Fleet) -> list[int]:
    return rss_mib(fleet)


@pytest.fixture(scope="module")
def client(fleet: Fleet, before: list[int]) -> Iterator[httpx.Client]:
    with fleet.http() as client:
        yield client


def ask(client: httpx.Client, fields: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    body = make_chat(**{"max_tokens": 4, "temperature": 0} | fields)
    answer = client.post("/v1/chat/completions", content=body)
    return answer.status_code, answer.json()["error"] if answer.status_code != 200 else {}


def test_each_field_has_a_case() -> None:
    assert CASES.keys() == FORWARDED.keys() | OWN.keys()
    assert all(case.good and case.bad for case in CASES.values())


@pytest.mark.parametrize("name", CASES)
def test_value_at_the_limit_is_answered_and_one_above_is_refused(
    client: httpx.Client, name: str
) -> None:
    case: Case = CASES[name]
    for value in case.good:
        status, error = ask(client, case.beside | {name: value})
        if case.long:
            assert error["code"] == "context_length_exceeded", error
        else:
            assert status == 200, (str(value)[:200], error)
    for value in case.bad:
        status, error = ask(client, case.beside | {name: value})
        assert (status, error["param"]) == (400, case.param or name), (str(value)[:200], error)
        assert f"`{error['param']}`" in error["message"]


def test_parameters_of_a_tool_are_bounded_as_other_schemas(client: httpx.Client) -> None:
    for bad in CASES["json_schema"].bad:
        status, error = ask(client, {"tools": [tool(), tool("g", bad)]})
        assert (status, error["param"]) == (400, "tools[1].function.parameters"), bad
    status, error = ask(client, {"tools": [tool(f"f{i}" + "x" * 5000) for i in range(256)]})
    assert (status, error["param"]) == (400, "tools")


def test_after_all_that_the_servers_are_the_same_and_no_larger(
    fleet: Fleet, before: list[int]
) -> None:
    """At d26fdb4 one grammar ended both servers (H1), and 60 bytes took gigabytes of one (H2)."""
    assert all(psutil.pid_exists(pid) for pid in fleet.server_pids)
    for was, is_now in zip(before, rss_mib(fleet), strict=True):
        assert is_now < was + MARGIN_MIB, (was, is_now)
