"""The clients that PyPI has, unchanged and at pinned versions, against real llama.cpp servers."""

from collections.abc import Iterator

import pytest

from tests.clients.programs import PYTHON, with_python
from tests.clients.stack import Stack, running_stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("clients")) as stack:
        yield stack


@pytest.mark.parametrize("name", PYTHON)
def test_all_calls_of_a_client_go_well(stack: Stack, name: str) -> None:
    verdicts = with_python(stack, name)
    assert len(verdicts) > 1
    assert [verdict for verdict in verdicts if verdict.why] == []
