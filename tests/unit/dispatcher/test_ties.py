"""Who waits is next before those who come later, whatever their names."""

import pytest

from testing.desk import Desk


@pytest.mark.parametrize("of", ["tenant", "user"])
async def test_ever_new_names_starve_nobody(desk: Desk, of: str) -> None:
    """As of a delegate that names another end user in each request."""
    await desk.join(slots=1)
    for name in ("a0", "zed"):
        await desk.enqueue(name, **{of: name})
    served = []
    for number in range(1, 6):
        attempt_id = await desk.take()
        served.append(attempt_id.partition(":")[0])
        await desk.enqueue(f"a{number}", **{of: f"a{number}"})
        await desk.finish(attempt_id)
    assert "zed" in served[:3], served
