"""What an answer has used so far, from events like those of a real server."""

import json
from typing import Any

import pytest

from dispatcher.cost import Usage
from dispatcher.job import Claim
from dispatcher.outgoing import Outgoing
from testing.ends import Speaker
from worker_bridge.chunk_answer import ChunkAnswer
from worker_bridge.meter import Meter, Timings


def event(**fields: Any) -> bytes:
    chunk = {"choices": [{"index": 0, "delta": {}}], "model": "tiny", **fields}
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode()


def timings(cache: int, prompt: int, predicted: int) -> dict[str, float]:
    return {
        "cache_n": cache,
        "prompt_n": prompt,
        "prompt_ms": prompt * 2.0,
        "predicted_n": predicted,
        "predicted_ms": predicted * 10.0,
    }


def progress(processed: int, cache: int) -> bytes:
    """As a server sends it without `timings_per_token`."""
    done = {"total": 3619, "cache": cache, "processed": processed, "time_ms": 5}
    return event(prompt_progress=done)


def text(cache: int, prompt: int, predicted: int) -> bytes:
    return event(timings=timings(cache, prompt, predicted))


def usage(prompt: int, completion: int, **details: Any) -> bytes:
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, **details}
    return event(choices=[], usage=counts)


def meter_of(*events: bytes) -> Meter:
    """What an answer with these events has noted."""
    claim = Claim("j", "j:1", "a", frozenset(), 9, 1)
    answer = ChunkAnswer(claim.wants, Outgoing(claim, Speaker(), lambda *_: None), "tiny", "tiny")
    answer.begin(200)
    for each in (event(), *events):
        answer.take(each + b"\n\n")
    return answer.meter


@pytest.mark.parametrize(
    ("events", "used"),
    [
        ([], Usage()),
        ([event(), b":", b"data: [DONE]"], Usage()),
        ([progress(1000, 1000)], Usage(1000, 0, 1000)),
        ([progress(1000, 1000), progress(3048, 1000)], Usage(3048, 0, 1000)),
        ([progress(3619, 1000), event(), text(1000, 2619, 1)], Usage(3619, 1, 1000)),
        ([text(0, 17, 1), text(0, 17, 2), event()], Usage(17, 2, 0)),
        ([text(5, 12, 3), usage(17, 3)], Usage(17, 3, 0)),
        (
            [text(5, 12, 3), usage(17, 3, prompt_tokens_details={"cached_tokens": 5})],
            Usage(17, 3, 5),
        ),
    ],
)
def test_use_so_far_is_what_the_last_figures_say(events: list[bytes], used: Usage) -> None:
    assert meter_of(*events).usage == used


@pytest.mark.parametrize(
    "odd",
    [
        usage(-5, -6, prompt_tokens_details={"cached_tokens": -1}),
        usage(None, "many", prompt_tokens_details=None),  # type: ignore[arg-type]
        event(choices=[], usage="none"),
        b'data: {"choices":[],"usage":{"prompt_tokens":NaN,"completion_tokens":1e999}}',
        b'data: {"choices":[],"usage":',
        b'data: {"prompt_progress":{',
        b'data: {"timings":{"predicted_n":0}',
    ],
)
def test_odd_figures_are_nothing(odd: bytes) -> None:
    assert meter_of(odd).usage == Usage()
    assert meter_of(odd).timings is None


def test_odd_usage_leaves_what_the_timings_said() -> None:
    assert meter_of(text(5, 12, 3), event(choices=[], usage={})).usage == Usage(17, 3, 5)


def test_more_can_not_be_cached_than_there_was() -> None:
    details = {"cached_tokens": 99}
    assert meter_of(usage(10, 1, prompt_tokens_details=details)).usage == Usage(10, 1, 10)


def test_timings_are_the_last_ones_also_where_the_usage_has_none() -> None:
    meter = meter_of(text(0, 17, 1), text(0, 17, 9), event(), usage(17, 9))
    assert meter.timings == Timings(prompt=17, prompt_ms=34, predicted=9, predicted_ms=90)
