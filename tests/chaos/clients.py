"""Clients that know what they must be answered, and compare every byte."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from random import Random
from typing import Any

import httpx

from testing.builders import make_token
from tests.chaos.fleet import MODEL, Fleet

LONGEST = 200
_SURE = 0.005  # how much likelier each token must be than the next best: noise is a tenth of that
_LARGE = 2**20
_PATH = "/v1/chat/completions"
_LOST_S = 100.0  # an answer that takes longer than every limit of the API never comes


@dataclass(frozen=True, slots=True)
class Known:
    """A prompt, and the text that follows it wherever and however it is generated."""

    prompt: str
    text: str
    prompt_tokens: int


class Manner(StrEnum):
    """How a client behaves."""

    WHOLE = "whole"
    STREAM = "stream"
    SLOW = "slow"  # reads a stream more slowly than it is generated
    LARGE = "large"  # sends a megabyte with it
    LEAVES = "leaves"


MANNERS = [
    *[Manner.STREAM] * 6,
    *[Manner.WHOLE] * 3,
    Manner.SLOW,
    Manner.LARGE,
    *[Manner.LEAVES] * 2,
]


class End(StrEnum):
    """How a request ended."""

    COMPLETE = "complete"
    ERROR = "error"
    LEFT = "left"  # by its client
    BROKEN = "broken"  # the connection


@dataclass(slots=True)
class Asked:
    """A request, and what has come of it. Times are of the monotonic clock, in seconds.

    It is an end user of its own, so that llamaq tells what it has used.
    """

    client: str
    name: str
    api: str
    known: Known
    tokens: int
    manner: Manner
    leave_s: float = 0
    began: float = 0
    ended: float = 0
    id: str = "?"
    text: str = ""
    end: End | None = None
    status: int = 0
    code: str = ""
    message: str = ""
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        took = self.ended - self.began
        return (
            f"{self.name} {self.id} {self.api} {self.manner} {len(self.text)}/{self.tokens} tokens "
            f"{self.end} {self.status} {self.code} {took:.1f} s {self.message}"
        )


def token_of(client: str) -> str:
    """What lets a client in, to speak for end users."""
    return make_token(sub=client, delegate=True)


async def learn(server_url: str, number: int) -> list[Known]:
    """Prompts whose greedy answer is the same in every batch and on every worker.

    Where two tokens are about as likely, the arithmetic of a batch decides: such prompts are left
    out.
    """
    found: list[Known] = []
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        for story in count(1):
            known, least = await _ask_server(client, server_url, f"Story {story}")
            if least > _SURE:
                found.append(known)
            if len(found) == number:
                break
    return found


async def _ask_server(client: httpx.AsyncClient, url: str, prompt: str) -> tuple[Known, float]:
    body = _body(prompt, LONGEST) | {"logprobs": True, "top_logprobs": 2}
    answer = (await client.post(url + _PATH, json=body)).json()
    choice = answer["choices"][0]
    tops = [token["top_logprobs"] for token in choice["logprobs"]["content"]]
    least = min(first["logprob"] - second["logprob"] for first, second in tops)
    text, prompt_tokens = choice["message"]["content"], answer["usage"]["prompt_tokens"]
    return Known(prompt, text, prompt_tokens), least


def _body(prompt: str, tokens: int) -> dict[str, Any]:
    return {
        "model": MODEL,
        "messages": [{"role": "user", "content": prompt}],
        "temperature": 0,
        "max_tokens": tokens,
        "ignore_eos": True,
    }


class Client:
    """Asks one API after the other, until `over`."""

    def __init__(
        self,
        name: str,
        seed: int,
        fleet: Fleet,
        known: Sequence[Known],
        done: Callable[[Asked], None],
    ) -> None:
        self._name = name
        self._fleet = fleet
        self._known = known
        self._done = done
        self._chance = Random(f"{seed} {name}")  # noqa: S311
        self._headers = {"Authorization": f"Bearer {token_of(name)}"}

    async def run(self, over: asyncio.Event) -> None:
        for number in count(1):
            if over.is_set():
                return
            asked = self._next(f"{self._name}.{number}")
            self._done(await self.ask(asked))
            await asyncio.sleep(self._chance.uniform(0, 0.5))

    def _next(self, name: str) -> Asked:
        chance = self._chance
        return Asked(
            self._name,
            name,
            chance.choice(self._fleet.apis),
            chance.choice(self._known),
            chance.randint(10, LONGEST),
            chance.choice(MANNERS),
            chance.uniform(0, 3),
        )

    async def ask(self, asked: Asked) -> Asked:
        """Sends a request; returns it when it has ended."""
        asked.began = time.monotonic()
        limit_s = asked.leave_s if asked.manner is Manner.LEAVES else _LOST_S
        try:
            async with asyncio.timeout(limit_s):
                await self._exchange(asked)
        except TimeoutError:
            if asked.manner is Manner.LEAVES:
                asked.end = End.LEFT
            else:
                asked.wrong.append("no answer and no error")
        except httpx.HTTPError as error:
            asked.end, asked.code = End.BROKEN, type(error).__name__
        asked.ended = time.monotonic()
        return asked

    async def _exchange(self, asked: Asked) -> None:
        body = _body(asked.known.prompt, asked.tokens) | {"user": asked.name}
        url = self._fleet.api_url(asked.api) + _PATH
        async with httpx.AsyncClient(trust_env=False, timeout=None) as client:  # noqa: S113
            if asked.manner is Manner.WHOLE:
                answer = await client.post(url, json=body, headers=self._headers)
                self._note(asked, answer)
                self._read_whole(asked, answer)
                return
            streamed = body | {"stream": True, "stream_options": {"include_usage": True}}
            if asked.manner is Manner.LARGE:
                streamed["metadata"] = {"notes": "x" * _LARGE}
            async with client.stream("POST", url, json=streamed, headers=self._headers) as answer:
                self._note(asked, answer)
                if answer.status_code == 200:
                    await self._read_stream(asked, answer)
                else:
                    await answer.aread()
                    self._read_error(asked, answer.json())

    def _note(self, asked: Asked, answer: httpx.Response) -> None:
        asked.status = answer.status_code
        asked.id = answer.headers.get("x-request-id", "?")
        if asked.status in (429, 503) and asked.status and "retry-after" not in answer.headers:
            asked.wrong.append(f"{asked.status} without Retry-After")

    def _read_whole(self, asked: Asked, answer: httpx.Response) -> None:
        content = answer.json()
        if answer.status_code != 200:
            self._read_error(asked, content)
            return
        choice = content["choices"][0]
        asked.text, asked.end = choice["message"]["content"], End.COMPLETE
        self._check_usage(asked, content["usage"])

    async def _read_stream(self, asked: Asked, answer: httpx.Response) -> None:
        usage = None
        async for event in self._events(asked, answer):
            if asked.end is not None:
                asked.wrong.append(f"something behind the end: {event[:80]}")
            elif event == "[DONE]":
                asked.end = End.COMPLETE
                self._check_usage(asked, usage)
            else:
                content = json.loads(event)
                usage = content.get("usage") or usage
                self._read_event(asked, content)
        if asked.end is None:
            asked.wrong.append("cut silently")

    async def _events(self, asked: Asked, answer: httpx.Response) -> AsyncIterator[str]:
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                yield line.removeprefix("data: ")
                if asked.manner is Manner.SLOW:
                    await asyncio.sleep(0.03)
            elif line and not line.startswith(":"):
                asked.wrong.append(f"not an event: {line[:80]}")

    def _read_event(self, asked: Asked, content: dict[str, Any]) -> None:
        if "error" in content:
            self._read_error(asked, content)
        for choice in content.get("choices", ()):
            asked.text += choice["delta"].get("content") or ""

    def _read_error(self, asked: Asked, content: dict[str, Any]) -> None:
        error = content["error"]
        asked.end, asked.code, asked.message = End.ERROR, str(error["code"]), error["message"]

    def _check_usage(self, asked: Asked, usage: dict[str, Any] | None) -> None:
        expected = asked.known.prompt_tokens, asked.tokens
        told = usage or {}
        if (told.get("prompt_tokens"), told.get("completion_tokens")) != expected:
            asked.wrong.append(f"usage {usage}")
