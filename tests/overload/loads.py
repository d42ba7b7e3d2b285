"""Loads of stand-in chats, from a client that costs little."""

import asyncio
import itertools
import json
import time
from collections.abc import Iterable, Iterator

from bench.load_generator import Client, Exchange, Request
from bench.prompts import make_request
from bench.standin_server import MODEL
from testing.builders import make_token

_seeds = itertools.count(1)


def chats(
    number: int,
    tokens: int,
    *,
    stream: bool = True,
    tenant: str = "me",
    body_bytes: int = 0,
    every_s: float = 0,
) -> list[Request]:
    """So many requests of a tenant, one every `every_s`."""
    token = make_token(sub=tenant)
    found = []
    for index in range(number):
        seed = next(_seeds)
        text = f"Request number {seed} " + f"{seed:07} " * (body_bytes // 8)
        chat = {
            **{"model": MODEL, "stream": stream, "seed": seed, "max_tokens": tokens},
            "messages": [{"role": "user", "content": text}],
        }
        found.append(make_request(chat, token, at_s=index * every_s))
    return found


def tiny() -> Iterator[Request]:
    """Requests for one token each, for ever."""
    while True:
        yield from chats(100, 1, stream=False)


async def ask(port: int, request: Request) -> Exchange:
    """One request on a connection of its own."""
    client = Client(port)
    exchange = await client.ask(request)
    client.close()
    return exchange


async def ask_in_turn(port: int, requests: Iterable[Request]) -> list[Exchange]:
    """One after the other."""
    return [await ask(port, request) for request in requests]


class Clients:
    """As many as are needed. Each is used again, the last one first: so a system does not run out
    of ports.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[Client] = []
        self._left = tiny()

    async def ask(self) -> Exchange:
        """For a tiny answer."""
        client = self._free.pop() if self._free else Client(self._port)
        exchange = await client.ask(next(self._left))
        self._free.append(client)
        return exchange

    async def at_once(self, number: int, for_s: float) -> tuple[list[Exchange], float]:
        """So many ask all the time; and how many seconds they did."""
        started, found = time.perf_counter(), []

        async def go_on() -> None:
            while time.perf_counter() - started < for_s:
                found.append(await self.ask())

        await asyncio.gather(*(go_on() for _ in range(number)))
        return found, time.perf_counter() - started

    async def at_rate(self, rate: float, for_s: float) -> list[Exchange]:
        """So many requests a second, whatever becomes of them."""
        started, running = time.perf_counter(), []
        while (passed_s := time.perf_counter() - started) < for_s:
            due = int(passed_s * rate) - len(running)
            running += [asyncio.create_task(self.ask()) for _ in range(due)]
            await asyncio.sleep(0.005)
        return list(await asyncio.gather(*running))


async def ask_again(port: int, exchanges: Iterable[Exchange]) -> list[Exchange]:
    """Each of these once more, when its `Retry-After` says so."""

    async def again(exchange: Exchange) -> Exchange:
        await asyncio.sleep(retry_after_s(exchange))
        return await ask(port, exchange.request)

    return list(await asyncio.gather(*map(again, exchanges)))


def status(exchange: Exchange) -> int:
    """0 where there is none."""
    head = exchange.pieces[0][1] if exchange.pieces else b""
    return int(head.split(b" ", 2)[1]) if head.startswith(b"HTTP/1.1 ") else 0


def error_code(exchange: Exchange) -> str:
    body = b"".join(piece for _, piece in exchange.pieces).partition(b"\r\n\r\n")[2]
    return str(json.loads(body)["error"]["code"])


def retry_after_s(exchange: Exchange) -> float:
    head = b"".join(piece for _, piece in exchange.pieces).partition(b"\r\n\r\n")[0].lower()
    return float(head.partition(b"retry-after: ")[2].split(b"\r\n")[0] or 1)
