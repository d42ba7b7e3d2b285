"""What one attempt has to say: numbered frames, few of them."""

from dispatcher.frames import Kind, unpack
from dispatcher.job import Claim, Want
from dispatcher.outgoing import Outgoing
from dispatcher.spacing import Pace
from testing.ends import Speaker

Noted = tuple[int, int, Pace]


def make(*wants: Want) -> tuple[Outgoing, list[Noted]]:
    noted: list[Noted] = []
    claim = Claim("j1", "j1:n-1", "a", frozenset(wants), 60, 0)
    return Outgoing(claim, Speaker(), lambda _, *about: noted.append(about)), noted


def test_pieces_of_text_side_by_side_are_one_frame_and_others_stay_apart() -> None:
    outgoing, _ = make()
    outgoing.add(Kind.STARTED, b"{}", Pace.LAZY)
    for number in (1, 2, 3):
        outgoing.add_text(b"%d " % number, number, Pace.SOON)
    outgoing.add(Kind.PROMPT, b"p", Pace.LAZY)
    outgoing.add_text(b"4", 4, Pace.SOON)
    said = [(f.kind.value, f.seq, f.tokens, f.payload) for f in outgoing.take()]
    assert said == [
        ("started", 0, 0, b"{}"),
        ("chunk", 1, 3, b"1 2 3 "),
        ("prompt", 2, 3, b"p"),
        ("chunk", 3, 4, b"4"),
    ]
    assert outgoing.last(Kind.DONE, b"{}").seq == 4


def text_event(word: bytes) -> bytes:
    head = b'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"'
    return head + word + b'"}}],"created":1,"id":"x"}\n\n'


def test_only_an_answer_in_one_piece_has_its_texts_joined() -> None:
    words = [b"%d " % number for number in range(9)]
    for wants, events in (((), 2), ((Want.STREAM,), 9)):
        outgoing, _ = make(*wants)
        for number, word in enumerate(words):
            outgoing.add_text(text_event(word), number, Pace.LAZY)
        (frame,) = outgoing.take()
        assert frame.payload.count(b"data:") == events
        assert b" ".join(frame.payload.split()).count(b"created") == events


def test_frame_that_was_taken_is_never_changed() -> None:
    outgoing, _ = make()
    outgoing.add_text(b"a", 1, Pace.SOON)
    first = outgoing.take()
    outgoing.add_text(b"b", 2, Pace.SOON)
    assert [frame.payload for frame in first] == [b"a"]
    assert [(frame.seq, frame.payload) for frame in outgoing.take()] == [(1, b"b")]
    assert outgoing.take() == []


def test_that_its_client_sees_something_is_told_until_an_emit_has_gone_through() -> None:
    outgoing, _ = make(Want.STREAM)
    outgoing.add(Kind.STARTED, b"{}", Pace.LAZY)
    assert outgoing.pack().begins == 0
    for told in (1, 1, 0):
        outgoing.add_text(b"a", 1, Pace.SOON)
        letter = outgoing.pack()
        said = [frame.payload for frame in unpack(letter.frames)]
        assert (letter.begins, letter.size, said) == (told, 1, [b"a"])
        if outgoing.last(Kind.DONE, b"").seq == 3:
            outgoing.told()


def test_whole_answer_is_seen_by_nobody_before_its_end() -> None:
    outgoing, _ = make()
    outgoing.add_text(b"a", 1, Pace.LAZY)
    assert outgoing.pack().begins == 0


def test_tokens_and_bytes_are_counted() -> None:
    outgoing, noted = make()
    outgoing.add_text(b"abc", 2, Pace.NOW)
    outgoing.add_text(b"de", 5, Pace.SOON)
    outgoing.add_text(b"f", 5, Pace.SOON)  # from a server that doesn't count
    assert noted == [(2, 3, Pace.NOW), (3, 2, Pace.SOON), (1, 1, Pace.SOON)]
    assert outgoing.bytes == 6
    outgoing.take()
    assert outgoing.bytes == 0
