"""What systems are compared at: each scenario's servers, load and figures."""

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from bench.figures import (
    CPU_PER_REQUEST,
    CPU_PER_TOKEN,
    FIRST_TOKEN,
    GAP_P99,
    LATENCY_P50,
    LATENCY_P99,
    REQUESTS_PER_S,
    TOKENS_PER_S,
    Figure,
)
from bench.load_generator import Exchange, Request, at_times, closed_loop
from bench.prompts import make_chats, make_request
from bench.standin_server import MODEL

SERVERS, SLOTS = 3, 1000  # so many slots that no queue forms


@dataclass(frozen=True, slots=True)
class Scenario:
    """A load of `requests` of `tokens` tokens, on servers of `rate` tokens/s a slot (0: unpaced).

    `at_once` clients each send the next request after an answer; with 0, all requests are sent by
    a client of their own, spread over `over_s` seconds. With `direct` the first server alone is
    measured too. LiteLLM is measured where `litellm` is true, or where it is named.
    """

    name: str
    about: str
    figures: Sequence[Figure]
    requests: int
    tokens: int
    rate: float = 0
    stream: bool = True
    at_once: int = 0
    over_s: float = 0
    direct: bool = False
    litellm: bool = False

    def make(self, turn: int, token: str, requests: int = 0) -> list[Request]:
        """The requests of a turn, or only so many of them."""
        number = requests or self.requests
        chats = make_chats(turn, number, self.tokens, model=MODEL, stream=self.stream)
        return [
            make_request(chat, token, self.over_s * index / number)
            for index, chat in enumerate(chats)
        ]

    def load(self, port: int, requests: Sequence[Request]) -> Coroutine[Any, Any, list[Exchange]]:
        """Sends them."""
        if self.at_once:
            return closed_loop(port, requests, self.at_once)
        return at_times(port, requests)


SCENARIOS = (
    Scenario(
        "whole-32",
        "whole answers of 16 tokens, 32 at once",
        (CPU_PER_REQUEST, REQUESTS_PER_S, LATENCY_P50, LATENCY_P99),
        requests=1000,
        tokens=16,
        stream=False,
        at_once=32,
        litellm=True,
    ),
    Scenario(
        "one-stream",
        "one client, streams of 16 tokens, one after the other",
        (CPU_PER_REQUEST, FIRST_TOKEN),
        requests=200,
        tokens=16,
        at_once=1,
        direct=True,
    ),
    Scenario(
        "paced-100",
        "100 streams, a token each 20 ms, begun over 2 s",
        (CPU_PER_TOKEN, FIRST_TOKEN, GAP_P99),
        requests=100,
        tokens=200,
        rate=50,
        over_s=2,
        direct=True,
    ),
    Scenario(
        "unpaced-50",
        "streams of 100 tokens as fast as they come, 50 at once",
        (CPU_PER_TOKEN, TOKENS_PER_S),
        requests=250,
        tokens=100,
        at_once=50,
    ),
)
DEFAULT = ("whole-32", "one-stream", "paced-100", "unpaced-50")
