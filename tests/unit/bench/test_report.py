"""What `scripts/bench` says of two systems, and when it says nothing."""

from xml.etree import ElementTree

import pytest

from bench.answers import Answer, Verdict
from bench.figures import CPU_PER_REQUEST, REQUESTS_PER_S, Measured
from bench.plots import draw
from bench.prompts import make_chats
from bench.report import TOO_NOISY, Found, table
from bench.scenarios import SCENARIOS
from bench.turns import Turn

WHOLE_32 = SCENARIOS[0]


def found(
    ours: list[float], theirs: list[float], calibration_ms: float = 1.0, others: float = 0.0
) -> Found:
    """One request in each turn, which took so many CPU seconds, and as long."""
    turns = []
    for system, values, calibrated in (("a", ours, calibration_ms), ("b", theirs, 1.0)):
        for run, cpu_s in enumerate(values):
            measured = Measured([Answer(Verdict.WHOLE, cpu_s, [cpu_s], 1)], cpu_s, cpu_s)
            turns.append(Turn(run, system, calibrated, others, measured))
    return Found(WHOLE_32, turns)


@pytest.mark.parametrize(
    ("ours", "theirs", "cpu", "rate"),
    [
        ([10, 11, 12], [14, 15, 16], "better", "better"),
        ([14, 15, 16], [10, 11, 12], "worse", "worse"),
        ([10, 11, 14], [13, 15, 16], "no clear difference", "no clear difference"),
        ([10, 11, 16], [20, 21, 22], TOO_NOISY, "better"),
    ],
)
def test_verdict_is_what_all_runs_show(ours: list, theirs: list, cpu: str, rate: str):
    compared = found(ours, theirs)
    assert compared.verdict("a", CPU_PER_REQUEST, "b") == cpu
    assert compared.verdict("a", REQUESTS_PER_S, "b") == rate
    assert compared.ratio("a", CPU_PER_REQUEST, "b") == ours[1] / theirs[1]


def test_cpu_time_is_scaled_by_what_the_same_work_cost_then():
    slow = found([20, 22, 24], [14, 15, 16], calibration_ms=2.0)
    assert slow.ratio("a", CPU_PER_REQUEST, "b") == 11 / 15
    assert slow.verdict("a", CPU_PER_REQUEST, "b") == "better"
    assert slow.verdict("a", REQUESTS_PER_S, "b") == TOO_NOISY
    assert TOO_NOISY in "\n".join(table(slow, ["b"]))


def test_other_programs_hide_times_but_no_cpu_time():
    busy = found([10, 11, 12], [14, 15, 16], others=1.0)
    assert busy.verdict("a", REQUESTS_PER_S, "b") == TOO_NOISY
    assert busy.verdict("a", CPU_PER_REQUEST, "b") == "better"


def test_plot_is_valid_and_has_a_bar_for_each_system():
    drawn = ElementTree.fromstring(draw(found([1, 2, 3], [4, 5, 6])))  # noqa: S314
    bars = drawn.findall("{http://www.w3.org/2000/svg}rect")
    assert len(bars) == 2 * len(WHOLE_32.figures)


def test_prompts_are_the_same_for_a_turn_and_no_other_ones():
    def prompts(turn: int) -> list[str]:
        chats = make_chats(turn, 50, 16, model="m", stream=False)
        return [chat["messages"][0]["content"] for chat in chats]

    assert prompts(1) == prompts(1)
    first_words = {prompt.split()[0] for turn in (1, 2) for prompt in prompts(turn)}
    assert len(first_words) == 100
