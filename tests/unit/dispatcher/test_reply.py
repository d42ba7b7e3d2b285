"""A reply follows one attempt at a time, without gaps, and bounds what is unread. Pure."""

import json

import pytest

from dispatcher.frames import FROM_SCRIPT, Frame, Kind
from dispatcher.needs import ANYBODY
from dispatcher.reply import Reply

KINDS_THAT_END = ["done", "rejected", "failed", "cancelled", "expired", "abandoned"]


def quiet() -> None:
    """Nobody wants to hear the news."""


@pytest.fixture
def reply() -> Reply:
    return Reply(100, quiet)


@pytest.fixture
def streamed() -> Reply:
    return Reply(1000, quiet, streamed=True)


def chunk(seq: int, payload: bytes = b"x") -> Frame:
    return Frame(Kind.CHUNK, seq, payload=payload)


def revoked() -> Frame:
    return Frame(Kind.REVOKED, FROM_SCRIPT)


def kinds(reply: Reply) -> list[str]:
    return [frame.kind.value for frame in reply.take()]


def failure(reply: Reply) -> str:
    """The code of the failure that ended it."""
    last = reply.take()[-1]
    assert last.kind is Kind.FAILED
    return str(json.loads(last.payload)["code"])


def test_frames_come_in_order_and_once(reply: Reply) -> None:
    for seq in (0, 0, 1, 0, 1, 2):
        reply.put("j:a-1", chunk(seq, b"%d" % seq))
    assert [frame.payload for frame in reply.take()] == [b"0", b"1", b"2"]
    assert reply.take() == []


def test_news_are_told() -> None:
    told: list[bool] = []
    Reply(9, lambda: told.append(True)).put("j:a-1", chunk(0))
    assert told


@pytest.mark.parametrize("kind", KINDS_THAT_END)
def test_nothing_comes_after_the_end(reply: Reply, kind: str) -> None:
    reply.put("j:a-1", Frame(Kind(kind), 0))
    reply.put("j:a-1", chunk(1))
    reply.put("j:a-1", revoked())
    assert (kinds(reply), reply.ended, reply.failed_here) == ([kind], True, False)


def test_revoked_attempt_counts_for_nothing(reply: Reply) -> None:
    reply.put("j:a-1", chunk(0, b"old"))
    reply.put("j:a-1", revoked())
    reply.put("j:b-1", chunk(0, b"new"))
    assert [(f.kind.value, f.payload) for f in reply.take()] == [
        ("revoked", b""),
        ("chunk", b"new"),
    ]


def test_late_revocation_of_an_older_attempt_is_ignored(reply: Reply) -> None:
    reply.put("j:b-1", chunk(0))
    reply.put("j:a-1", revoked())
    reply.put("j:b-1", chunk(1))
    assert kinds(reply) == ["chunk", "chunk"]


def test_script_frames_need_no_sequence(reply: Reply) -> None:
    reply.put("j:a-1", chunk(0))
    reply.put("j:a-1", Frame(Kind.LOST, FROM_SCRIPT))
    assert kinds(reply) == ["chunk", "lost"]


def lost() -> Frame:
    return Frame(Kind.LOST, FROM_SCRIPT)


def test_what_came_of_a_lost_attempt_counts_and_another_one_may_follow(reply: Reply) -> None:
    reply.put("j:a-1", chunk(0, b"old"))
    reply.put("j:a-1", lost())
    assert (reply.lost, reply.generation, reply.waits, reply.ended) == (True, 2, True, False)
    reply.put("j:b-2", chunk(0, b"new"))
    reply.put("j:b-2", lost())
    assert (reply.lost, reply.generation) == (True, 3)
    assert [(f.kind.value, f.payload) for f in reply.take()] == [
        *[("chunk", b"old"), ("lost", b"")],
        *[("chunk", b"new"), ("lost", b"")],
    ]


def test_loss_is_told_of_an_attempt_that_nothing_was_heard_of(reply: Reply) -> None:
    reply.put("j:a-1", lost())
    assert (reply.lost, kinds(reply)) == (True, ["lost"])


@pytest.mark.parametrize(("end", "next_"), [(lost(), "j:b-2"), (revoked(), "j:b-1")])
def test_attempt_that_is_over_is_not_heard_again(reply: Reply, end: Frame, next_: str) -> None:
    """After a failover the stream is read from its beginning."""
    reply.put("j:a-1", chunk(0))
    reply.put("j:a-1", end)
    reply.put(next_, chunk(0))
    kinds(reply)
    for frame in (chunk(0), chunk(1), end):
        reply.put("j:a-1", frame)
    assert kinds(reply) == []
    reply.put(next_, chunk(1))
    assert kinds(reply) == ["chunk"]


@pytest.mark.parametrize("kind", [Kind.CHUNK, Kind.EXPIRED, Kind.LOST, Kind.DONE])
def test_only_the_newest_submission_is_heard(streamed: Reply, kind: Kind) -> None:
    """An enqueue that came late runs a job from where its client was before."""
    streamed.put("j:a-1", chunk(0, b"w0"))
    streamed.forget()
    assert streamed.resumed(2, ANYBODY)
    kinds(streamed)
    for attempt_id in ("j:b-1", "j:-1", "j:c-3", "j:nonsense"):
        streamed.put(attempt_id, Frame(kind, FROM_SCRIPT if kind is Kind.EXPIRED else 0))
    assert (kinds(streamed), streamed.lost, streamed.ended) == ([], False, False)
    streamed.put("j:d-2", chunk(0, b"w1"))
    assert [frame.payload for frame in streamed.take()] == [b"w1"]


def test_late_loss_of_an_older_attempt_is_ignored(reply: Reply) -> None:
    reply.put("j:b-1", chunk(0))
    reply.put("j:a-1", lost())
    reply.put("j:b-1", chunk(1))
    assert (kinds(reply), reply.lost) == (["chunk", "chunk"], False)


def test_job_that_was_never_claimed_can_expire(reply: Reply) -> None:
    reply.put("j:-1", Frame(Kind.EXPIRED, FROM_SCRIPT))
    assert reply.ended


def test_another_attempt_restarts_what_nobody_has_taken(reply: Reply) -> None:
    reply.put("j:a-1", chunk(0))
    reply.put("j:b-1", chunk(0, b"new"))
    assert kinds(reply) == ["revoked", "chunk"]


def test_another_attempt_restarts_what_was_taken_too(reply: Reply) -> None:
    reply.put("j:a-1", chunk(0))
    reply.take()
    reply.put("j:b-1", chunk(0, b"new"))
    assert kinds(reply) == ["revoked", "chunk"]


def test_reader_that_is_too_slow_fails(reply: Reply) -> None:
    reply.put("j:a-1", chunk(0, b"x" * 60))
    reply.put("j:a-1", chunk(1, b"x" * 41))
    assert (failure(reply), reply.failed_here) == ("slow_client", True)


def test_reader_that_keeps_up_may_read_any_amount(reply: Reply) -> None:
    for seq in range(9):
        reply.put("j:a-1", chunk(seq, b"x" * 60))
        assert kinds(reply) == ["chunk"]
    assert not reply.ended


def started(build: str) -> Frame:
    payload = json.dumps({"worker": "w", "queue_ms": 0, "build": build}).encode()
    return Frame(Kind.STARTED, 0, payload=payload)


def test_clock_that_was_set_back_fails_no_job(reply: Reply) -> None:
    payload = b'{"worker": "w", "queue_ms": -6717, "build": "f1"}'
    reply.put("j:a-1", Frame(Kind.STARTED, 0, payload=payload))
    assert reply.start["queue_ms"] == 0


def test_newer_attempt_follows_one_that_redis_forgot(reply: Reply) -> None:
    reply.put("j:a-1", chunk(0, b"old"))
    reply.put("j:b-1", chunk(0, b"new"))
    assert kinds(reply) == ["revoked", "chunk"]


def test_newer_attempt_at_what_a_client_has_seen_is_not_heard(streamed: Reply) -> None:
    streamed.put("j:a-1", started("f1"))
    streamed.put("j:a-1", chunk(1))
    streamed.put("j:b-1", started("f2"))
    streamed.put("j:b-1", chunk(1))
    streamed.put("j:a-1", chunk(2))
    assert (streamed.lost, streamed.generation, streamed.fingerprint) == (True, 2, "f1")
    assert kinds(streamed) == ["started", "chunk", "lost"]
    assert streamed.resumed(2, ANYBODY)
    streamed.put("j:b-1", chunk(2))
    streamed.put("j:c-2", chunk(0))
    assert kinds(streamed) == ["chunk"]


def test_attempt_that_redis_forgot_is_lost_once_for_a_client_that_saw_it(streamed: Reply) -> None:
    streamed.put("j:a-1", chunk(0))
    for _ in range(2):
        streamed.forget()
    assert (streamed.lost, streamed.waits) == (True, True)
    first, loss = streamed.take()
    assert (first.kind, loss.kind) == (Kind.CHUNK, Kind.LOST)
    assert b"lost a part of the answer" in loss.payload


def test_job_that_redis_forgot_while_it_waited_has_nothing_to_lose(
    reply: Reply, streamed: Reply
) -> None:
    for waiting in (reply, streamed):
        waiting.forget()
        assert (waiting.lost, waiting.generation, kinds(waiting)) == (False, 2, [])


def test_gap_is_a_loss(reply: Reply) -> None:
    for seq in (0, 2, 3):
        reply.put("j:a-1", chunk(seq))
    assert (reply.lost, kinds(reply)) == (True, ["chunk", "lost"])


def test_loss_that_another_one_followed_does_not_go_on(reply: Reply) -> None:
    for generation in (1, 2):
        reply.put(f"j:a-{generation}", lost())
    assert not reply.resumed(2, ANYBODY)
    assert reply.lost
    assert reply.resumed(3, ANYBODY)
