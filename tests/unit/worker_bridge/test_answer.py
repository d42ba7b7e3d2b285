"""What a client sees of an answer does not depend on how it was cut on the way."""

import random

import pytest

from dispatcher.frames import Kind, unpack
from dispatcher.job import Claim, Want
from dispatcher.outgoing import Outgoing
from testing.ends import Speaker
from tests.unit.worker_bridge.test_events import (
    COMPLETED,
    COMPLETION_PROGRESS,
    LAST,
    PROGRESS,
    ROLE,
    THINK_WITH_PROGRESS,
    TIMINGS,
    TRAP,
    USAGE,
    completion_event,
    text_event,
)
from worker_bridge.chunk_answer import ChunkAnswer
from worker_bridge.ends import End, Result
from worker_bridge.events import end_of_text, for_client, last_count, read_event, without_comments

NESTED = b',"timings":{"predicted_n":8,"more":{"a":1}}'  # of a build to come


def counted(tokens: int) -> bytes:
    return TIMINGS.replace(b'"predicted_n":4', b'"predicted_n":%d' % tokens)


EVENTS = [
    PROGRESS,
    ROLE,
    text_event("a", counted(1)),
    text_event(TRAP, counted(2)),
    text_event("not counted", b""),
    text_event("thought", counted(3)).replace(b'"content"', b'"reasoning_content"'),
    b":\n" + text_event("behind a comment", counted(4)),
    text_event("b", counted(5)),
    text_event("c", counted(6) + PROGRESS[PROGRESS.index(b',"prompt_progress"') : -1]),
    THINK_WITH_PROGRESS,
    text_event("d", counted(7)),
    text_event("e", NESTED),
    LAST.replace(TIMINGS, counted(9)),
    USAGE.replace(TIMINGS, counted(9)),
    b"data: [DONE]",
]
COMPLETION = [
    COMPLETION_PROGRESS,
    completion_event("a", counted(1)),
    completion_event(TRAP, counted(2)),
    completion_event('"finish_reason":"stop"', counted(3)),
    completion_event("not counted", b""),
    b":\n" + completion_event("behind a comment", counted(4)),
    completion_event("b", counted(5)).replace(b'"logprobs":null', b'"logprobs":{"content":[]}'),
    completion_event("c", counted(6)),
    COMPLETION_PROGRESS,
    completion_event("d", NESTED),
    COMPLETED.replace(TIMINGS, counted(9)),
    b"data: [DONE]",
]
WANTS = [{Want.STREAM}, {Want.STREAM, Want.USAGE, Want.TIMINGS}, {Want.USAGE, Want.PROGRESS}]


def answer_to(wants: set[Want], pieces: list[bytes]) -> tuple[bytes, int, Result | None]:
    """What its client sees, the tokens that were counted, and its end."""
    claim = Claim("j", "j:1", "a", frozenset(wants), 9, 1)
    outgoing = Outgoing(claim, Speaker(), lambda *_: None)
    answer = ChunkAnswer(claim.wants, outgoing, "tiny", "tiny")
    answer.begin(200)
    for piece in pieces:
        if result := answer.take(piece):
            break
    frames = unpack(outgoing.pack().frames)
    shown = b"".join(frame.payload for frame in frames if frame.kind is Kind.CHUNK)
    return shown, frames[-1].tokens, result


STREAMS = pytest.mark.parametrize("events", [EVENTS, COMPLETION], ids=["chat", "completion"])


@STREAMS
@pytest.mark.parametrize("wants", WANTS)
def test_answer_is_the_same_however_it_was_cut(wants: set[Want], events: list[bytes]) -> None:
    stream = b"".join(event + b"\n\n" for event in events)
    whole = answer_to(wants, [stream])
    assert whole[1:] == (
        9,
        Result(End.DONE, b'{"prompt_tokens": 17, "completion_tokens": 3, "cached_tokens": 16}'),
    )
    one_by_one = [event + b"\n\n" for event in events]
    assert answer_to(wants, one_by_one) == whole
    chance = random.Random(1)  # noqa: S311
    for _ in range(50):
        cuts = sorted(chance.sample(range(1, len(stream)), 20))
        pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
        assert answer_to(wants, pieces) == whole


@STREAMS
@pytest.mark.parametrize("wants", WANTS[1:])
def test_client_sees_each_event_as_if_it_came_alone(wants: set[Want], events: list[bytes]) -> None:
    bare = [without_comments(event) for event in events[:-1]]
    seen = [for_client(event, read_event(event).type, frozenset(wants)) for event in bare]
    if events is COMPLETION:
        seen[-1] = bare[-1]  # it has usage and timings whatever its client asked for
    shown, *_ = answer_to(wants, [b"".join(event + b"\n\n" for event in events)])
    assert shown == b"".join(event + b"\n\n" for event in seen if event is not None)


def test_completion_that_said_why_it_ended_is_whole_without_done() -> None:
    claim = Claim("j", "j:1", "a", frozenset({Want.STREAM}), 9, 1)
    answer = ChunkAnswer(claim.wants, Outgoing(claim, Speaker(), lambda *_: None), "tiny", "tiny")
    answer.begin(200)
    assert answer.take(completion_event("a") + b"\n\n") is None
    assert answer.break_off("gone").end is End.CRASHED
    assert answer.take(COMPLETED + b"\n\n") is None
    done = Result(End.DONE, b'{"prompt_tokens": 17, "completion_tokens": 3, "cached_tokens": 16}')
    assert answer.break_off("gone") == done


@pytest.mark.parametrize(
    ("text", "held_back"),
    [
        (text_event("a", counted(1)), text_event("", counted(2)).replace(b'{"content":""}', b"{}")),
        (completion_event("a", counted(1)), completion_event("", counted(2))),
    ],
)
def test_tokens_are_those_that_the_text_stands_for(text: bytes, held_back: bytes) -> None:
    said, silent = text + b"\n\n", held_back + b"\n\n"
    for pieces in ([said, silent], [said + silent], [said + silent + silent]):
        assert answer_to({Want.STREAM}, pieces)[1] == 1
    later = text.replace(b'"predicted_n":1', b'"predicted_n":3') + b"\n\n"
    assert answer_to({Want.STREAM}, [said + silent + later])[1] == 3


@pytest.mark.parametrize(
    ("text", "more"),
    [
        (text_event("a"), EVENTS[8]),
        (completion_event(TRAP), COMPLETION_PROGRESS),
        (completion_event('"finish_reason":"stop"'), COMPLETED),
        (completion_event("a"), completion_event("b", finish=b'"stop"')),
        (completion_event("a"), completion_event("")),
    ],
)
def test_text_ends_before_what_says_more(text: bytes, more: bytes) -> None:
    text, more = text + b"\n\n", more + b"\n\n"
    assert end_of_text(text + text + more + text, 0) == 2 * len(text)
    assert end_of_text(text + text + more + text, len(text)) == 2 * len(text)
    assert end_of_text(more + text, 0) == 0
    assert end_of_text(text + text[:-1], 0) == len(text)
    assert end_of_text(b":\n" + text, 0) == 0


def test_last_count_is_found_among_texts() -> None:
    first, second = (text_event(TRAP, counted(tokens)) + b"\n\n" for tokens in (3, 4))
    assert last_count(first + second + text_event("a", b"") + b"\n\n") == (4, len(first))
    assert last_count(text_event(TRAP, b"")) == (0, 0)
