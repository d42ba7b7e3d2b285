"""Speeds as they are smoothed; what a real server says is in the module's docstring."""

import math

import pytest

from worker_bridge.meter import Timings
from worker_bridge.speed import Speedometer


def answer(tps: float, tokens: int, *, prompt_tps: float = 1000, prompt: int = 200) -> Timings:
    """One answer of a server that evaluates and generates so fast."""
    decode_ms = (tokens - 1) * 1000 / tps or 0.001
    return Timings(prompt, prompt * 1000 / prompt_tps, tokens, decode_ms)


def speeds(*answers: Timings) -> tuple[float, float]:
    meter = Speedometer()
    for each in answers:
        meter.add("p", each)
    return meter.of("p")


def test_nothing_is_known_before_the_first_answer() -> None:
    assert Speedometer().of("p") == (0, 0)
    assert Speedometer().of("") == (0, 0)


def test_one_answer_tells_both_speeds() -> None:
    assert speeds(answer(50, 100)) == (1000, 50)


def test_speeds_stay_where_nothing_changes() -> None:
    assert speeds(*[answer(37, 80)] * 100) == (1000, 37)


@pytest.mark.parametrize(("before", "after"), [(100, 25), (25, 100)])
def test_change_is_followed_alike_in_both_directions(before: float, after: float) -> None:
    answers = [answer(before, 400)] * 20
    _, half_way = speeds(*answers, *[answer(after, 250)] * 2)
    assert math.isclose(half_way, math.sqrt(before * after), rel_tol=0.05)
    _, followed = speeds(*answers, *[answer(after, 250)] * 8)
    assert math.isclose(followed, after, rel_tol=0.15)


def test_change_of_the_prompts_speed_is_followed() -> None:
    slow = answer(50, 10, prompt_tps=500, prompt=1000)
    fast = answer(50, 10, prompt_tps=2000, prompt=1000)
    prompt_tps, decode_tps = speeds(*[slow] * 20, *[fast] * 2)
    assert math.isclose(prompt_tps, 1000, rel_tol=0.1)
    assert decode_tps == 50


def test_tokens_count_and_not_answers() -> None:
    _, decode_tps = speeds(answer(50, 400), *[answer(5, 2)] * 10)
    assert decode_tps > 48


def test_prompt_that_was_cached_all_but_a_token_hardly_counts() -> None:
    """Its evaluation takes as long as a token of the answer: 28.7 ms on a real server."""
    cached = Timings(prompt=1, prompt_ms=28.7, predicted=40, predicted_ms=39 * 20)
    prompt_tps, _ = speeds(answer(50, 40, prompt=500), *[cached] * 200)
    assert prompt_tps > 900


def test_short_prompts_tell_a_speed_where_there_are_no_others() -> None:
    assert speeds(*[answer(50, 100, prompt=17)] * 3) == (1000, 50)


@pytest.mark.parametrize(
    "odd",
    [
        Timings(0, 0, 0, 0),
        Timings(17, 0, 9, 0),
        Timings(17, -3, 9, -3),
        Timings(-17, 3, -9, 3),
        Timings(17, math.nan, 9, math.nan),
        Timings(17, math.inf, 9, math.inf),
        Timings(0, 5, 1, 0.001),
    ],
)
def test_odd_timings_count_for_nothing(odd: Timings) -> None:
    assert speeds(odd) == (0, 0)
    assert speeds(answer(50, 100), odd) == (1000, 50)


def test_another_process_begins_anew() -> None:
    meter = Speedometer()
    meter.add("p1", answer(50, 100))
    assert meter.of("p2") == (0, 0)
    meter.add("p2", answer(200, 10))
    assert meter.of("p2") == (1000, 200)
    assert meter.of("p1") == (0, 0)


def test_figures_have_three_digits() -> None:
    assert speeds(answer(123.456, 100, prompt_tps=98765)) == (98800, 123)
    assert speeds(answer(0.0123456, 100)) == (1000, 0.0123)


def test_noise_is_smoothed() -> None:
    meter = Speedometer()
    for number in range(500):
        meter.add("p", answer(50 * math.exp(0.4 * math.sin(number)), 100))
    assert 45 < meter.of("p")[1] < 55
