"""Holds conversations of given lengths with a gateway, and keeps the answers. Benchmarks only."""

import asyncio
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.gateways import MODEL, Gateway
from dispatcher.cost import cost

TURNS = 8


@dataclass(frozen=True, slots=True)
class Size:
    """Words of a message, and tokens of an answer: from, to.

    The demonstration model has a token per byte: a word is six of them.
    """

    words: tuple[int, int] = (20, 40)
    answer: tuple[int, int] = (60, 180)


@dataclass(frozen=True, slots=True)
class Load:
    """Conversations at the same time; before a turn the speaker thinks for `think_s` on average.

    Each conversation is the next tenant's; without `tenants` each has one of its own. All begin
    with the same `system_words`.
    """

    name: str
    conversations: int
    think_s: float = 0
    system_words: int = 10
    tenants: tuple[tuple[str, Size], ...] = ()

    def speaker(self, number: int) -> tuple[str, Size]:
        """The tenant of a conversation, and how much is said in it."""
        if not self.tenants:
            return f"tenant-{number}", Size()
        return self.tenants[number % len(self.tenants)]


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer. Times in seconds since the start, tokens as the server counted them."""

    conversation: int
    number: int
    tenant: str
    worker: str
    sent_s: float
    ended_s: float
    prompt: int
    cached: int
    completion: int

    @property
    def cost(self) -> int:
        """What its tenant is charged for it."""
        return cost(self.prompt, self.completion, self.cached)


def words(chance: random.Random, number: int) -> str:
    """A number of made-up words."""
    syllables = ("ba", "co", "du", "fen", "gil", "hor", "jun", "kam", "lis", "mot", "per", "sta")
    return " ".join(
        "".join(chance.choices(syllables, k=chance.choice((1, 2, 3)))) for _ in range(number)
    )


class Talk:
    """One conversation with a gateway, the same for the same load, number and seed."""

    def __init__(self, load: Load, number: int, seed: int) -> None:
        self._number = number
        self._think_s = load.think_s
        self._tenant, self._size = load.speaker(number)
        self._chance = random.Random(f"{seed}-{number}")  # noqa: S311
        system = words(random.Random(seed), load.system_words)  # noqa: S311
        self._messages = [{"role": "system", "content": system}]

    async def hold(self, client: httpx.AsyncClient, gateway: Gateway, started: float) -> list[Turn]:
        """All its turns, one after the other."""
        return [await self._turn(client, gateway, started, number) for number in range(TURNS)]

    async def _turn(
        self, client: httpx.AsyncClient, gateway: Gateway, started: float, number: int
    ) -> Turn:
        await asyncio.sleep(self._think_s * self._chance.uniform(0, 2))
        message = words(self._chance, self._chance.randint(*self._size.words))
        self._messages.append({"role": "user", "content": message})
        limit = self._chance.randint(*self._size.answer)
        sent = time.monotonic()
        answer = await client.post(
            f"{gateway.url}/v1/chat/completions",
            json={
                "model": MODEL,
                "messages": self._messages,
                "max_tokens": limit,
                "ignore_eos": True,
                "seed": number,
            },
            headers=gateway.headers(self._tenant),
        )
        answer.raise_for_status()
        said, ended = answer.json(), time.monotonic()
        self._messages.append(said["choices"][0]["message"])
        worker = answer.headers.get("x-llamaq-worker", said["model"])
        usage = said["usage"]
        return Turn(
            conversation=self._number,
            number=number,
            tenant=self._tenant,
            worker=worker,
            sent_s=sent - started,
            ended_s=ended - started,
            prompt=usage["prompt_tokens"],
            cached=usage["prompt_tokens_details"]["cached_tokens"],
            completion=usage["completion_tokens"],
        )


async def hold_all(gateway: Gateway, load: Load, seed: int) -> Sequence[Turn]:
    """Holds all conversations of a load at once."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=600, limits=limits, trust_env=False) as client:
        talks = [Talk(load, number, seed) for number in range(load.conversations)]
        started = time.monotonic()
        held = await asyncio.gather(*(talk.hold(client, gateway, started) for talk in talks))
    return [turn for turns in held for turn in turns]
