"""An answer in llama.cpp's own events: what a client sees of it, however it was cut on the way.

The events are those of a real server (b11549), with shorter settings.
"""

import json
import random
from typing import Any

import pytest

from dispatcher.cost import Usage
from dispatcher.frames import Frame, Kind, unpack
from dispatcher.job import Claim, Want
from dispatcher.outgoing import Outgoing
from testing.ends import Speaker
from worker_bridge.ends import End, Result
from worker_bridge.event_answer import EventAnswer
from worker_bridge.stop import Phase

LAST = b'"stop":true'
STREAM, TIMED, PROGRESS = Want.STREAM, Want.TIMINGS, Want.PROGRESS
# The words of the last event and of others, as a model or a client may write them.
TRAP = (
    '"stop":true,"timings":{"predicted_n":99},"model":"other","prompt_progress":{"total":0},'
    '\\"stop\\":true "error" data: {"error":1}\n\ndata: {"stop":true}\n\n: \\'
)
SETTINGS: dict[str, Any] = {"seed": 7, "stop": [], "n_predict": 3, "timings_per_token": True}


def timings(tokens: int) -> dict[str, Any]:
    counts = {"cache_n": 3, "prompt_n": 1, "prompt_ms": 0.3, "prompt_per_second": 4016.1}
    return {"timings": {**counts, "predicted_n": tokens, "predicted_ms": 0.1}}


def event(**fields: Any) -> bytes:
    text = json.dumps({"index": 0, **fields}, ensure_ascii=False, separators=(",", ":"))
    return b"data: " + text.encode()


def part(text: str, tokens: int, **more: Any) -> bytes:
    counts = {"id_slot": -1, "tokens_predicted": tokens, "tokens_evaluated": 4}
    said = {"content": text, "tokens": [tokens], "stop": False}
    return event(**said, **counts, **timings(tokens), **more)


def progress(processed: int, text: str = "") -> bytes:
    told = {"total": 4, "cache": 3, "processed": processed, "time_ms": 0}
    return part(text, 0, prompt_progress=told)


def last(model: str = "tiny", prompt: str = "Once") -> bytes:
    said = {"content": "", "tokens": [], "id_slot": 1, "stop": True, "model": model}
    counts = {"tokens_predicted": 3, "tokens_evaluated": 4, "generation_settings": SETTINGS}
    return event(**said, **counts, prompt=prompt, stop_type="limit", **timings(3))


STREAMED = [
    progress(3),
    progress(4),
    b": a comment",
    part("n", 1),
    b":\n" + part(TRAP, 2),
    part("", 3, completion_probabilities=[{"id": 3, "token": TRAP}]),
    last(prompt=TRAP),
]


class Client:
    """What comes of one answer for its client."""

    def __init__(self, *wants: Want, model: str = "tiny", status: int = 200) -> None:
        claim = Claim("j", "j:1", "a", frozenset(wants), 9, 1)
        self.outgoing = Outgoing(claim, Speaker(), lambda *_: None)
        self.answer = EventAnswer(claim.wants, self.outgoing, "tiny", model, LAST)
        self.answer.begin(status)

    def take(self, *pieces: bytes) -> Result | None:
        for piece in pieces:
            if (result := self.answer.take(piece)) is not None:
                return result
        return None

    def frames(self) -> list[Frame]:
        return unpack(self.outgoing.pack().frames)

    def shown(self) -> bytes:
        return b"".join(frame.payload for frame in self.frames() if frame.kind is Kind.CHUNK)


def stream(*events: bytes) -> bytes:
    return b"".join(each + b"\n\n" for each in events)


def untimed(one: bytes) -> bytes:
    read = json.loads(one.removeprefix(b":\n").removeprefix(b"data: "))
    read.pop("timings")
    return b"data: " + json.dumps(read, ensure_ascii=False, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("wants", "expected"),
    [
        ([], [*map(untimed, STREAMED[3:6]), STREAMED[6]]),
        ([STREAM], [*map(untimed, STREAMED[3:6]), STREAMED[6]]),
        ([STREAM, PROGRESS], [*map(untimed, STREAMED[:2] + STREAMED[3:6]), STREAMED[6]]),
        ([STREAM, TIMED], [STREAMED[3], STREAMED[4][2:], *STREAMED[5:]]),
        ([STREAM, TIMED, PROGRESS], [*STREAMED[:2], STREAMED[3], STREAMED[4][2:], *STREAMED[5:]]),
    ],
    ids=["whole", "stream", "progress", "timings", "both"],
)
def test_client_sees_what_it_asked_for_however_it_was_cut(
    wants: list[Want], expected: list[bytes]
) -> None:
    whole = stream(*STREAMED)
    chance = random.Random(1)  # noqa: S311
    cuttings = [[whole], [whole[i : i + 1] for i in range(len(whole))]]
    for _ in range(50):
        cuts = sorted(chance.sample(range(1, len(whole)), 20))
        pairs = zip([0, *cuts], [*cuts, len(whole)], strict=True)
        cuttings.append([whole[a:b] for a, b in pairs])
    for pieces in cuttings:
        client = Client(*wants)
        result = client.take(*pieces)
        assert result == Result(
            End.DONE, b'{"prompt_tokens": 4, "completion_tokens": 3, "cached_tokens": 3}'
        )
        assert client.shown() == stream(*expected)


@pytest.mark.parametrize("count", range(len(STREAMED)))
def test_stream_that_ends_without_its_last_event_is_broken(count: int) -> None:
    client = Client(STREAM)
    assert client.take(stream(*STREAMED[:count])) is None
    assert client.answer.end().end is End.CRASHED


def test_half_of_the_last_event_ends_nothing() -> None:
    client = Client(STREAM)
    assert client.take(stream(*STREAMED)[:-1]) is None
    assert LAST not in client.shown()
    assert client.answer.end().end is End.CRASHED


def test_nothing_behind_the_last_event_is_passed_on() -> None:
    client = Client(STREAM)
    result = client.take(stream(last(), part("more", 4)))
    assert result is not None
    assert client.shown() == stream(last())


@pytest.mark.parametrize("before", [[], [part("n", 1)]], ids=["first", "later"])
def test_error_in_the_stream_ends_the_attempt(before: list[bytes]) -> None:
    error = b'data: {"error":{"code":500,"message":"Compute error.","type":"server_error"}}'
    client = Client(STREAM)
    result = client.take(*(each + b"\n\n" for each in (*before, error)))
    assert result is not None
    assert result.end is not End.DONE
    assert b"error" not in client.shown()
    assert b"Compute error" in result.payload


def test_refusal_is_told_as_the_server_says_it() -> None:
    client = Client(STREAM, status=400)
    said = b'{"error":{"code":400,"message":"\\"prompt\\" must not be empty"}}'
    assert client.take(said[:9], said[9:]) is None
    result = client.answer.end()
    assert result.end is End.REJECTED
    assert b"must not be empty" in result.payload


@pytest.mark.parametrize("before", [[], [part("n", 1)]], ids=["whole", "begun"])
def test_answer_of_another_model_is_not_passed_on(before: list[bytes]) -> None:
    """Only the last event names the model."""
    client = Client(STREAM)
    result = client.take(stream(*before, last(model="other")))
    assert result is not None
    assert result.end is End.SETUP
    assert b"other" not in client.shown()


def test_another_model_may_be_named_by_the_first_event() -> None:
    client = Client(STREAM)
    result = client.take(stream(event(content="n", model="other")))
    assert result is not None
    assert (result.end, client.shown()) == (End.SETUP, b"")


def test_client_sees_the_name_that_it_knows() -> None:
    client = Client(STREAM, model="shown")
    client.take(stream(part('"model":"tiny"', 1), last()))
    first, end = client.shown().split(b"\n\n")[:2]
    assert json.loads(first[6:])["content"] == '"model":"tiny"'
    assert json.loads(end[6:])["model"] == "shown"


def test_phase_and_usage_follow_the_events() -> None:
    client = Client(STREAM)
    seen = []
    for one in (progress(3), progress(4), part("n", 1), part("e", 2)):
        client.take(stream(one))
        usage = client.answer.meter.usage
        seen.append((client.answer.phase, usage.prompt, usage.completion))
    assert seen == [
        (Phase.PROMPT, 3, 0),
        (Phase.FIRST_TOKEN, 4, 0),
        (Phase.NEXT_TOKEN, 4, 1),
        (Phase.NEXT_TOKEN, 4, 2),
    ]
    client.take(stream(event(content="untold", tokens_predicted=3, stop=False)))
    assert client.answer.meter.usage == Usage(4, 2, 3)


def test_comments_are_no_progress() -> None:
    client = Client(STREAM)
    moved_at = client.answer.moved_at
    assert client.take(b":\n\n", b": waiting\n\n") is None
    assert (client.answer.moved_at, client.shown()) == (moved_at, b"")


def test_streams_tell_the_prompts_size_once_for_who_goes_on() -> None:
    client = Client(STREAM)
    client.take(stream(*STREAMED))
    told = [frame.payload for frame in client.frames() if frame.kind is Kind.PROMPT]
    assert told == [progress(3)]


def test_events_may_have_names() -> None:
    client = Client(STREAM)
    names = [b"event: part\n" + untimed(part("n", 1)), b"event: end\n" + last()]
    assert client.take(stream(b"event: part\n" + part("n", 1))) is None
    assert client.answer.meter.usage == Usage(4, 1, 3)
    result = client.take(stream(names[1]))
    assert result == Result(
        End.DONE, b'{"prompt_tokens": 4, "completion_tokens": 3, "cached_tokens": 3}'
    )
    assert client.shown() == stream(*names)


def test_error_may_have_a_name() -> None:
    result = Client(STREAM).take(stream(b'event: error\ndata: {"error":{"message":"Full."}}'))
    assert result is not None
    assert result.end is not End.DONE
    assert b"Full." in result.payload
