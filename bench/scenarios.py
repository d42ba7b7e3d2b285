"""The scenarios of the comparison: servers, load and figures of each."""

from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.figures import (
    ADDED_TO_FIRST,
    BROKEN,
    CPU_OF_A_CORE,
    CPU_PER_REQUEST,
    CPU_PER_TOKEN,
    FIRST_TOKEN,
    GAP_P99,
    LATENCY_P50,
    LATENCY_P99,
    MEMORY,
    REFUSED,
    REQUESTS_PER_S,
    TOKENS_PER_S,
    WHOLE,
    Figure,
)
from bench.load_generator import Exchange, Request, at_times, closed_loop
from bench.mixed_fleet.jobs import PROMPT_RATE, RATE, SIZES, SLOTS, SPEEDS, make_jobs
from bench.prompts import SEEDS_PER_TURN, make_chats, make_request
from bench.standin_server import MODEL

_FLEET_LOAD = 0.5  # of what the mixed fleet can do: 450 tokens/s


@dataclass(frozen=True, slots=True)
class Server:
    """A stand-in server, or a `real` one: its slots, and tokens/s of each slot (0: unpaced)."""

    slots: int = 1000  # enough that no queue forms
    rate: float = 0
    prompt_rate: float = 0
    real: bool = False


def _three(rate: float = 0) -> Sequence[Server]:
    return (Server(rate=rate),) * 3


@dataclass(frozen=True, slots=True)
class Scenario:
    """A load of `requests` of `tokens` tokens on its servers.

    `at_once` clients each send the next request after an answer; with 0, all requests are sent by
    a client of their own when they are due. For `idle_s` nothing is sent. With
    `direct` the first server alone is measured too. LiteLLM is measured where `litellm` is true.
    """

    name: str
    about: str
    figures: Sequence[Figure]
    requests: int = 0
    tokens: int = 0
    servers: Sequence[Server] = _three()
    stream: bool = True
    at_once: int = 0
    over_s: float = 0
    idle_s: float = 0
    direct: bool = False
    litellm: bool = False
    chats: Callable[["Scenario", int, int], Iterator[tuple[dict[str, Any], float]]] | None = None

    def make(self, turn: int, token: str, requests: int = 0) -> list[Request]:
        """The requests of a turn, or only some of them."""
        chats = (self.chats or _equal)(self, turn, requests or self.requests)
        return [make_request(chat, token, at_s) for chat, at_s in chats]

    def load(self, port: int, requests: Sequence[Request]) -> Coroutine[Any, Any, list[Exchange]]:
        """Sends them."""
        if self.at_once:
            return closed_loop(port, requests, self.at_once)
        return at_times(port, requests)

    def lasting(self, idle_s: float) -> "Scenario":
        """The same, with another `idle_s` if it sends nothing."""
        return replace(self, idle_s=idle_s) if self.idle_s else self


def _equal(scenario: Scenario, turn: int, requests: int) -> Iterator[tuple[dict[str, Any], float]]:
    """All of one size, spread evenly."""
    chats = make_chats(turn, requests, scenario.tokens, model=MODEL, stream=scenario.stream)
    for index, chat in enumerate(chats):
        yield chat, scenario.over_s * index / requests


def _real(scenario: Scenario, turn: int, requests: int) -> Iterator[tuple[dict[str, Any], float]]:
    """Real servers number no tokens; they tell how many there were."""
    for chat, at_s in _equal(scenario, turn, requests):
        yield {**chat, "ignore_eos": True, "stream_options": {"include_usage": True}}, at_s


def _of_fleet(
    scenario: Scenario, turn: int, requests: int
) -> Iterator[tuple[dict[str, Any], float]]:
    """Of mixed sizes, at random times."""
    for job in make_jobs(requests, SIZES["20..180 tokens"], turn, _FLEET_LOAD):
        messages = [{"role": "user", "content": job.prompt}]
        seed = turn * SEEDS_PER_TURN + job.number
        chat = {"model": MODEL, "messages": messages, "max_tokens": job.tokens, "seed": seed}
        yield {**chat, "stream": True}, job.at_s


SCENARIOS = (
    Scenario(
        "whole-32",
        "whole answers of 16 tokens, 32 at once",
        (CPU_PER_REQUEST, REQUESTS_PER_S, LATENCY_P50, LATENCY_P99),
        requests=2000,
        tokens=16,
        stream=False,
        at_once=32,
        litellm=True,
    ),
    Scenario(
        "one-stream",
        "one client, streams of 16 tokens, one after the other",
        (CPU_PER_REQUEST, FIRST_TOKEN, ADDED_TO_FIRST),
        requests=200,
        tokens=16,
        at_once=1,
        direct=True,
    ),
    Scenario(
        "paced-100",
        "100 streams of 200 tokens, a token each 20 ms, begun over 2 s",
        (CPU_PER_TOKEN, FIRST_TOKEN, GAP_P99),
        requests=100,
        tokens=200,
        servers=_three(rate=50),
        over_s=2,
        direct=True,
    ),
    Scenario(
        "unpaced-50",
        "streams of 100 tokens as fast as they come, 50 at once",
        (CPU_PER_TOKEN, TOKENS_PER_S),
        requests=1000,
        tokens=100,
        at_once=50,
    ),
    Scenario(
        "fleet-450",
        "two fast servers and a slow one of 4 slots, random arrivals, 450 tokens/s in all",
        (CPU_PER_TOKEN, FIRST_TOKEN, GAP_P99),
        requests=60,
        servers=tuple(Server(SLOTS, RATE * s, PROMPT_RATE * s) for s in SPEEDS.values()),
        chats=_of_fleet,
    ),
    Scenario(
        "idle",
        "nothing is sent (--idle-s tells for how long)",
        (CPU_OF_A_CORE, MEMORY),
        idle_s=20,
    ),
    Scenario(
        "burst-2000",
        "2,000 clients at once, 2 streams of 40 tokens each, 5 tokens/s",
        (WHOLE, REFUSED, BROKEN, FIRST_TOKEN, CPU_PER_TOKEN),
        requests=4000,
        tokens=40,
        servers=_three(rate=5),
        at_once=2000,
    ),
    Scenario(
        "real",
        "real llama.cpp servers, 2 of 4 slots, streams of 120 tokens, 12 at once",
        (TOKENS_PER_S, BROKEN, FIRST_TOKEN, CPU_PER_TOKEN),
        requests=48,
        tokens=120,
        servers=(Server(4, real=True),) * 2,
        at_once=12,
        chats=_real,
    ),
)
DEFAULT = ("whole-32", "one-stream", "paced-100", "unpaced-50")
