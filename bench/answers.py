"""Reads what came back: whether each answer is whole, and when its tokens came."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from bench.load_generator import Exchange, Request

REFUSALS = (429, 503)


class Verdict(StrEnum):
    """How a request went."""

    WHOLE = "whole"
    REFUSED = "refused"  # with a status that says so
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Answer:
    """Times in seconds since the request was sent; `arrivals_s` are when tokens came, if any did.

    Tokens that came together are one arrival.
    """

    verdict: Verdict
    ended_s: float
    arrivals_s: Sequence[float] = ()
    tokens: int = 0
    why: str = ""

    @property
    def gaps_s(self) -> list[float]:
        """Between two arrivals."""
        times = self.arrivals_s
        return [later - earlier for earlier, later in pairwise(times)]


def read_answer(exchange: Exchange) -> Answer:
    """Reads all that came of one answer."""
    ended_s = exchange.ended_s - exchange.sent_s
    status, headers, body = _split(exchange.pieces)
    if status in REFUSALS and exchange.complete:
        return Answer(Verdict.REFUSED, ended_s)
    if status != 200:
        return Answer(Verdict.BROKEN, ended_s, why=f"status {status}: {_shown(body)}")
    if b"transfer-encoding: chunked" in headers.lower():
        body = list(_unchunked(body))
    request = exchange.request
    try:
        said, times, tokens = _streamed(body) if request.stream else _whole(body)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        return Answer(Verdict.BROKEN, ended_s, why=f"{error!r}: {_shown(body)}")
    arrivals_s = [time_s - exchange.sent_s for time_s in times]
    is_right = tokens == request.tokens if request.usage else said == _expected(request)
    if not exchange.complete or not is_right:
        why = f"{'' if exchange.complete else 'cut, '}said {said[:80]!r}"
        return Answer(Verdict.BROKEN, ended_s, arrivals_s, why=why)
    return Answer(Verdict.WHOLE, ended_s, arrivals_s, request.tokens)


def _expected(request: Request) -> str:
    return "".join(f"{request.seed}-{number} " for number in range(request.tokens))


def _shown(body: Sequence[tuple[float, bytes]]) -> str:
    return b"".join(data for _, data in body)[-300:].decode(errors="replace")


def _split(
    pieces: Sequence[tuple[float, bytes]],
) -> tuple[int, bytes, list[tuple[float, bytes]]]:
    """The status, the headers, and the pieces of the body; status 0 if the head is not there."""
    seen = b""
    for index, (time_s, data) in enumerate(pieces):
        seen += data
        head, end, first = seen.partition(b"\r\n\r\n")
        if end:
            return int(head.split(b" ", 2)[1]), head, [(time_s, first), *pieces[index + 1 :]]
    return 0, b"", []


def _unchunked(body: Sequence[tuple[float, bytes]]) -> Iterator[tuple[float, bytes]]:
    """The body without the frames of its chunks."""
    buffer, left = b"", 0  # of a chunk and the line end behind it
    for time_s, data in body:
        buffer, out = buffer + data, b""
        while buffer:
            if left == 0:
                line, end, rest = buffer.partition(b"\r\n")
                if not end:
                    break
                buffer, left = rest, int(line, 16) + 2
            taken = buffer[:left]
            out += taken[: max(0, left - 2)]
            buffer, left = buffer[len(taken) :], left - len(taken)
        yield time_s, out


def _streamed(body: Sequence[tuple[float, bytes]]) -> tuple[str, list[float], int]:
    """The text, when parts of it came, and its usage; raises ValueError if it has no end."""
    said, times, buffer, done, tokens = [], [], b"", False, 0
    for time_s, data in body:
        *events, buffer = (buffer + data).split(b"\n\n")
        text = ""
        for event in events:
            done = done or event == b"data: [DONE]"
            line = event.rpartition(b"\n")[2]  # behind a comment
            if line.startswith(b"data: {"):
                chunk = json.loads(line[6:])
                text += _content(chunk)
                tokens = (chunk.get("usage") or {}).get("completion_tokens", tokens)
        if text:
            said.append(text)
            times.append(time_s)
    if not done:
        raise ValueError("no [DONE]")
    return "".join(said), times, tokens


def _content(chunk: dict) -> str:
    if "error" in chunk:
        raise ValueError(chunk["error"])
    return "".join(choice["delta"].get("content") or "" for choice in chunk.get("choices", ()))


def _whole(body: Sequence[tuple[float, bytes]]) -> tuple[str, list[float], int]:
    answer = json.loads(b"".join(data for _, data in body))
    tokens = answer["usage"]["completion_tokens"]
    return answer["choices"][0]["message"]["content"], [body[-1][0]], tokens
