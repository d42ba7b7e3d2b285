"""Generated requests get the same answers directly and through llamaq, but for written kinds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.endpoints import ENDPOINTS
from tests.differential.comparing import compared
from tests.differential.kinds import KINDS, kind_of
from tests.differential.plans import PLANS
from tests.differential.requests import requests
from tests.differential.stage import Stage, stage

pytestmark = pytest.mark.real

DOCS = Path(__file__).parents[2] / "docs" / "differences.md"


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("differential")) as running:
        yield running


@pytest.mark.parametrize("endpoint", PLANS)
def test_answers_differ_in_written_ways_only(there: Stage, endpoint: str) -> None:
    count = 12 if endpoint == "transcriptions" else 24  # a sound takes a server 50 ms
    found = compared(there, list(requests(PLANS[endpoint], count, 1)))
    assert [str(each) for each in found if kind_of(each) is None] == []


def test_each_kind_is_written_down() -> None:
    written = DOCS.read_text()
    assert [kind.name for kind in KINDS if f"| {kind.name} | {kind.reason} |" not in written] == []
    assert len(KINDS) <= 15


def test_each_endpoint_has_a_plan() -> None:
    doors = {door for endpoint in ENDPOINTS for door in endpoint.doors}
    planned = {plan.path for plan in PLANS.values()}
    assert planned <= doors
    assert [row.path for row in ENDPOINTS if not planned & set(row.doors)] == []
