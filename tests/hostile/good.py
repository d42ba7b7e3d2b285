"""A good client: a stream and an answer in one piece after the other, each of them measured."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.answers import Verdict, read_answer
from bench.load_generator import Client, Exchange, Request
from bench.prompts import make_request
from testing.builders import make_token
from tests.hostile.bodies import MODEL
from tests.overload.finding import percentile

TOKENS = 100
_PAUSE_S = 0.1
_CLIENTS = 2
_seeds = itertools.count(1)


def question(token: str, *, stream: bool = True, tokens: int = TOKENS) -> Request:
    """One that was never asked before, with so long an answer."""
    seed = next(_seeds)
    chat = {
        **{"model": MODEL, "stream": stream, "max_tokens": tokens, "ignore_eos": True},
        **{"seed": seed, "stream_options": {"include_usage": True}},
        "messages": [{"role": "user", "content": f"Story {seed} of {time.time_ns()}"}],
    }
    if not stream:
        del chat["stream_options"]
    request = make_request(chat, token)
    return Request(request.content, seed, tokens, stream, usage=True)


@dataclass(slots=True)
class Seen:
    """What the good client got: seconds to the end, and to the first token of streams."""

    whole_s: list[float] = field(default_factory=list)
    first_s: list[float] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    refused: int = 0

    def note(self, exchange: Exchange, say: Callable[[str], None]) -> None:
        """Reads an answer."""
        answer = read_answer(exchange)
        if answer.verdict is not Verdict.WHOLE:
            self.refused += answer.verdict is Verdict.REFUSED
            why = answer.why or exchange.pieces[0][1][:400].decode(errors="replace")
            self.failed[why] += 1
            say(f"FAILED after {answer.ended_s:.1f} s: {why[:300]}")
            return
        self.whole_s.append(answer.ended_s)
        if exchange.request.stream:
            self.first_s.append(answer.arrivals_s[0])

    @property
    def p50_s(self) -> float:
        return percentile(self.whole_s, 0.5)

    @property
    def max_s(self) -> float:
        return percentile(self.whole_s, 1)

    def __str__(self) -> str:
        first = f"{percentile(self.first_s, 0.5):.3f} / {percentile(self.first_s, 1):.3f}"
        return (
            f"{len(self.whole_s)} whole, p50 / max {self.p50_s:.2f} / {self.max_s:.2f} s, "
            f"first token {first} s, failed {self.failed.total()}, refused {self.refused}"
        )


async def ask_for(port: int, seconds: float, say: Callable[[str], None]) -> Seen:
    """Asks for so long: one client streams, one wants answers in one piece."""
    seen, until = Seen(), time.monotonic() + seconds
    token = make_token(sub="good")

    async def ask(*, stream: bool) -> None:
        client = Client(port)
        while time.monotonic() < until:
            seen.note(await client.ask(question(token, stream=stream)), say)
            await asyncio.sleep(_PAUSE_S)
        client.close()

    await asyncio.gather(*(ask(stream=number % 2 == 0) for number in range(_CLIENTS)))
    return seen
