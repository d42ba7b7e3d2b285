"""What the charts show of what processes have told."""

from typing import Any

from api.dashboard.past import by_worker, steps
from dispatcher.figures import Done, Figures
from dispatcher.history import HOUR, WEEK, Row
from dispatcher.latencies import Latencies

NOW_MS = 1_795_795_600_000


def row(kind: str, name: str, done: Done, ago_ms: int = 300_000, span: Any = HOUR) -> Row:
    at_ms = (NOW_MS - ago_ms) // span.step_ms * span.step_ms
    return Row("m", span, at_ms, kind, name, Figures(done, Latencies().with_one(100)))


def test_apis_tell_of_requests_and_workers_of_tokens() -> None:
    rows = [row("api", "a", Done(requests=2)), row("worker", "w", Done(3, completion=60))]
    (step,) = [each for each in steps(rows, HOUR, NOW_MS)["steps"] if each["completion"]]
    assert (step["requests"], step["completion"], step["covers_ms"]) == (2, 60, 60_000)
    assert step["first_token_ms"][0] is not None


def test_minute_that_is_not_told_yet_is_left_out() -> None:
    told = steps([], HOUR, NOW_MS)
    last_ends_ms = told["from_ms"] + 60 * told["step_ms"]
    assert 30_000 <= NOW_MS - last_ends_ms < 90_000


def test_hour_that_has_just_begun_covers_a_part_of_it() -> None:
    told = steps([], WEEK, NOW_MS)["steps"]
    assert [each["covers_ms"] for each in told[:-1]] == [3_600_000] * 167
    assert 60_000 <= told[-1]["covers_ms"] < 3_600_000


def test_worker_that_begins_again_keeps_its_past_unless_two_have_its_name() -> None:
    rows = [
        row("worker", "gpu-aaaaaa", Done(1, completion=10, busy_ms=1000), span=WEEK),
        row("worker", "gpu-bbbbbb", Done(1, completion=30, busy_ms=1000), span=WEEK),
    ]
    alone = by_worker(rows, ["gpu-bbbbbb"], NOW_MS)
    assert (alone["gpu-bbbbbb"]["completion"], alone["gpu-bbbbbb"]["tokens_per_s"]) == (40, 20.0)
    both = by_worker(rows, ["gpu-aaaaaa", "gpu-bbbbbb"], NOW_MS)
    assert [both[name]["completion"] for name in sorted(both)] == [10, 30]
