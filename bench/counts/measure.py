"""Counts what a request and a token take: one client, fixed answers, one thing at a time.

What is told is what three of four take at least: some meet something that is done by the clock, or
a machine that is busy. Of a stream that is there at once it is the least of all: on such a machine
most of them come in more pieces.
"""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import uvloop

from bench.answers import Verdict, read_answer
from bench.counts.parts import Parts, on_one_core, running
from bench.counts.queue import count_queue
from bench.load_generator import Client, Request
from bench.prompts import make_chats, make_request
from bench.standin_server import MODEL
from testing.builders import make_token

REQUESTS, ANSWER = 80, 16  # whole answers; the server writes each in one piece
FIRST, TOKENS = 5, 60  # of a stream: those before the first one that is counted, and those
SPACING_S = 0.03  # longer than a bridge waits between two emits of few streams
# Streams that the server writes in one piece: what more the long ones take is their tokens'.
STREAMS, SHORT, LONG = 7, 5, 805
NOTHING = 0.05  # a count that is less says nothing
Counts = Mapping[str, Mapping[str, float]]


def measure() -> Counts:
    """Starts the parts, counts, and stops them: some seconds."""
    with on_one_core():
        return uvloop.run(_measure())


async def _measure() -> Counts:
    with tempfile.TemporaryDirectory(prefix="llamaq-counts-") as folder:
        async with running(Path(folder)) as parts:
            await _ask_each(parts, _requests(1, 5, ANSWER, stream=False))
            await _ask_each(parts, _requests(2, 2, SHORT, stream=True))
            await parts.hold()
            whole = _typical(await _ask_each(parts, _requests(3, REQUESTS, ANSWER, stream=False)))
            one_by_one = await _one_by_one(parts)
            short = await _ask_each(parts, _requests(5, STREAMS, SHORT, stream=True))
            long = await _ask_each(parts, _requests(6, STREAMS, LONG, stream=True))
    few, many = _least(short), _least(long)
    more = {name: (many[name] - few.get(name, 0)) / (LONG - SHORT) for name in many}
    return {
        f"a whole answer of {ANSWER} tokens": _shown(whole),
        "a token, one by one": _shown(one_by_one),
        "a token, all at once": _shown(more),
        **await count_queue(),
    }


def _requests(turn: int, number: int, tokens: int, *, stream: bool) -> list[Request]:
    token = make_token()
    chats = make_chats(turn, number, tokens, model=MODEL, stream=stream)
    return [make_request(chat, token) for chat in chats]


async def _ask_each(parts: Parts, requests: Sequence[Request]) -> list[Counter[str]]:
    """What each request takes; it begins when all parts are at rest."""
    rounds, client = [], Client(parts.port)
    for request in requests:
        before = await parts.read()
        await _ask(client, request)
        await parts.rest()
        rounds.append(await parts.read() - before)
    client.close()
    return rounds


async def _ask(client: Client, request: Request) -> None:
    answer = read_answer(await client.ask(request))
    if answer.verdict is not Verdict.WHOLE:
        raise RuntimeError(f"an answer that is counted is not whole: {answer}")


class _Steps(Client):
    """Has the server give one token after the other."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts.port)
        self._seen = asyncio.Semaphore(0)
        self._steps = parts.standin.steps = asyncio.Semaphore(0)

    def data_received(self, data: bytes) -> None:
        for _ in range(data.count(b'"content":"')):
            self._seen.release()
        super().data_received(data)

    async def take_token(self) -> None:
        """Has one given, and waits for it; the last one leaves no pause behind."""
        await asyncio.sleep(SPACING_S)
        self._steps.release()
        await self._seen.acquire()


async def _one_by_one(parts: Parts) -> dict[str, float]:
    """What a token in the middle of a stream takes."""
    client, rounds = _Steps(parts), []
    (request,) = _requests(4, 1, FIRST + TOKENS + 1, stream=True)
    asked = asyncio.create_task(_ask(client, request))
    for _ in range(FIRST):
        await client.take_token()
    for _ in range(TOKENS):
        await parts.rest(running=True)
        before = await parts.read()
        await client.take_token()
        await parts.rest(running=True)
        rounds.append(await parts.read() - before)
    await client.take_token()
    await asked
    await parts.rest()
    parts.standin.steps = None
    client.close()
    return _typical(rounds)


def _typical(rounds: Sequence[Counter[str]]) -> dict[str, float]:
    counts = {name: sorted(each[name] for each in rounds) for name in _names(rounds)}
    return {name: each[len(each) // 4] for name, each in counts.items()}


def _least(rounds: Sequence[Counter[str]]) -> dict[str, float]:
    return {name: min(each[name] for each in rounds) for name in _names(rounds)}


def _names(rounds: Sequence[Counter[str]]) -> set[str]:
    return {name for each in rounds for name in each}


def _shown(counted: Mapping[str, float]) -> dict[str, float]:
    """Without what is next to nothing."""
    return {name: round(number, 3) for name, number in sorted(counted.items()) if number >= NOTHING}
