"""What crashes a llama.cpp server directly is refused before it reaches one (`crash_cases`)."""

from collections.abc import Iterator

import httpx
import psutil
import pytest

from testing.crash_cases import CRASHES, Crash
from tests.end_to_end.conftest import Fleet
from tests.end_to_end.test_field_bounds import MARGIN_MIB, rss_mib

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def client(fleet: Fleet) -> Iterator[httpx.Client]:
    """At the end the servers are the same, and no larger."""
    before = rss_mib(fleet)
    with fleet.http() as client:
        yield client
    assert all(psutil.pid_exists(pid) for pid in fleet.server_pids)
    for was, is_now in zip(before, rss_mib(fleet), strict=True):
        assert is_now < was + MARGIN_MIB, (was, is_now)


@pytest.mark.parametrize("crash", CRASHES, ids=[f"{c.issue} {c.path}" for c in CRASHES])
def test_no_server_gets_it(client: httpx.Client, crash: Crash) -> None:
    answer = client.post(crash.path, content=crash.body)
    if crash.taken:
        assert answer.status_code == 200, answer.text
        assert "grammar_triggers" in answer.headers["x-llamaq-ignored"]
        return
    error = answer.json()["error"]
    assert answer.status_code == 400, answer.text
    if crash.param:
        assert error["param"] == crash.param
        assert f"`{crash.param}`" in error["message"]
    else:
        assert "deep" in error["message"]
