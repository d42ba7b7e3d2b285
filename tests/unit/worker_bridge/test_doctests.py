import doctest

import pytest

from worker_bridge import events, fleet_watch, health, launcher, verdict


@pytest.mark.parametrize("module", [events, fleet_watch, health, launcher, verdict])
def test_examples_in_the_documentation_hold(module: object) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
