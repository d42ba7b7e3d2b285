"""What a load's client got is whole, refused or broken, and tokens have times."""

import json

import pytest

from bench.answers import Verdict, read_answer
from bench.load_generator import Exchange, Request

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def event(text: str) -> bytes:
    chunk = {"choices": [{"delta": {"content": text}}]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def streamed(*texts: str, end: bytes = b"data: [DONE]\n\n") -> bytes:
    return HEAD + b"".join(framed(event(text)) for text in texts) + framed(end) + b"0\r\n\r\n"


def exchange(*pieces: bytes, tokens: int = 2, complete: bool = True) -> Exchange:
    timed = [(10.0 + number, piece) for number, piece in enumerate(pieces)]
    request = Request(b"", seed=7, tokens=tokens, stream=True)
    return Exchange(request, 9.0, 20.0, complete, timed)


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_stream_is_whole_however_it_is_cut_into_pieces(size: int):
    data = streamed("7-0 ", "7-1 ")
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    answer = read_answer(exchange(*pieces))
    assert (answer.verdict, answer.tokens) == (Verdict.WHOLE, 2)


def test_times_are_those_at_which_tokens_came():
    first = HEAD + framed(event("7-0 "))
    answer = read_answer(exchange(first, streamed("7-1 ").removeprefix(HEAD)))
    assert list(answer.arrivals_s) == [1.0, 2.0]
    assert answer.gaps_s == [1.0]


@pytest.mark.parametrize(
    "wrong",
    [
        exchange(streamed("7-0 ")),
        exchange(streamed("7-0 ", "7-0 ", "7-1 ")),
        exchange(streamed("7-1 ", "7-0 ")),
        exchange(streamed("8-0 ", "8-1 ")),
        exchange(streamed("7-0 ", "7-1 ", end=b"")),
        exchange(streamed("7-0 ", "7-1 "), complete=False),
        exchange(streamed("7-0 ", end=b'data: {"error": {"code": "cancelled"}}\n\n')),
        exchange(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"),
        exchange(complete=False),
    ],
    ids=["missing", "doubled", "swapped", "another's", "endless", "cut", "error", "502", "nothing"],
)
def test_answer_that_is_not_right_is_broken(wrong: Exchange):
    assert read_answer(wrong).verdict is Verdict.BROKEN


def test_refusal_is_told_from_a_broken_answer():
    refused = exchange(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n")
    assert read_answer(refused).verdict is Verdict.REFUSED
