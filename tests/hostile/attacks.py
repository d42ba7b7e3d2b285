"""What a hostile tenant does, each attack at a bounded rate: its client shares the machine."""

import asyncio
import itertools
import json
import random
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from bench.load_generator import Client, Exchange, Request
from testing.builders import make_token
from tests.hostile.bodies import MODEL, attacks, crashes, large_bodies
from tests.hostile.buggy_server import BUG
from tests.overload.loads import error_code, status

CHAT = "/v1/chat/completions"
TENANT = "hostile"
TOKENS = 100  # of each answer, as many as the good client wants
LONG = 1900
OK = 200


class Rate:
    """So many a second, for all who ask it."""

    def __init__(self, per_s: float) -> None:
        self._pause_s = 1 / per_s
        self._due_s = 0.0

    async def turn(self) -> None:
        """Returns when the next one is due."""
        now_s = asyncio.get_running_loop().time()
        self._due_s = max(self._due_s + self._pause_s, now_s)
        await asyncio.sleep(self._due_s - now_s)


@dataclass(slots=True)
class Attacker:
    """The hostile tenant at an API, and what it was answered."""

    port: int
    seed: int
    scale: float = 1.0  # of rates and connections
    answered: Counter[str] = field(default_factory=Counter)
    users: int = 0
    token: str = field(default_factory=lambda: make_token(sub=TENANT, delegate=True))

    def request(self, body: bytes, path: str = CHAT) -> Request:
        return Request(self.head(len(body), path) + body, 0, 0, stream=False)

    def head(self, size: int, path: str = CHAT) -> bytes:
        return (
            f"POST {path} HTTP/1.1\r\nHost: hostile\r\nAuthorization: Bearer {self.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
        ).encode()

    def many(self, number: int) -> range:
        return range(max(1, int(number * self.scale)))

    def rate(self, per_s: float) -> Rate:
        return Rate(per_s * self.scale)

    async def send(self, client: Client, request: Request) -> int:
        """Sends it, and counts its answer; returns the status, 0 where the connection broke."""
        exchange = await client.ask(request)
        shown = _shown(exchange)
        self.answered[shown] += 1
        return int(shown.split()[0]) if shown[0].isdigit() else 0


def _shown(exchange: Exchange) -> str:
    code = status(exchange)
    if not code or not exchange.complete:
        return "connection broke"
    if code == 200:
        return "200"
    with suppress(ValueError, KeyError):
        return f"{code} {error_code(exchange)}"
    return str(code)


def chat(**fields: object) -> bytes:
    """A harmless one."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": TOKENS}
    return json.dumps(body | {"ignore_eos": True} | fields).encode()


def some_tokens(chance: random.Random) -> int:
    """As many as others want, in the mean. Answers of one length would all end at the same time."""
    return chance.randint(TOKENS // 2, TOKENS * 3 // 2)


async def grammars(of: Attacker) -> None:
    """All that is known to crash servers, hang them or fill their memory: 20 a second."""
    await _send_all(of, 20, _all_known(of))


async def _send_all(of: Attacker, per_s: float, left: Iterator[Request]) -> None:
    """From a few clients, which share the rate."""
    rate = of.rate(per_s)

    async def go_on() -> None:
        client = Client(of.port)
        for request in left:
            await rate.turn()
            await of.send(client, request)

    await asyncio.gather(*(go_on() for _ in of.many(4)))


def _all_known(of: Attacker) -> Iterator[Request]:
    known = [of.request(body, path) for path, body in crashes()]
    for number, body in enumerate(attacks(of.seed)):
        yield of.request(json.dumps(body).encode())
        if number % 4 == 0:
            yield known[number // 4 % len(known)]


async def bodies(of: Attacker) -> None:
    """Bodies as large as may be and larger, with many keys, and deep: three a second."""
    requests = [of.request(body) for body in large_bodies(TOKENS)]
    await _send_all(of, 3, itertools.cycle(requests))


async def queue(of: Attacker) -> None:
    """1,500 requests at a time; those that are refused come again, 200 a second."""
    rate, chance = of.rate(200), random.Random(of.seed)  # noqa: S311

    async def go_on() -> None:
        client = Client(of.port)
        while True:
            await rate.turn()
            await of.send(client, of.request(chat(max_tokens=some_tokens(chance))))

    await asyncio.gather(*(go_on() for _ in of.many(1500)))


async def users(of: Attacker) -> None:
    """A delegate that names a new end user in each request: 420 a second, 1,500 at a time."""
    rate = of.rate(420)

    async def go_on() -> None:
        client = Client(of.port)
        while True:
            await rate.turn()
            of.users += 1
            body = chat(user=f"user {of.seed}.{of.users}", max_tokens=1 + of.users % 4)
            await of.send(client, of.request(body))

    await asyncio.gather(*(go_on() for _ in of.many(1500)))


async def readers(of: Attacker) -> None:
    """200 streams with much in each token, of which a byte a second is read."""

    chance = random.Random(of.seed)  # noqa: S311

    async def go_on() -> None:
        while True:
            tokens = some_tokens(chance)
            body = chat(stream=True, logprobs=True, top_logprobs=20, max_tokens=tokens)
            await _with_socket(of, of.request(body).content, _read_slowly)

    await asyncio.gather(*(go_on() for _ in of.many(200)))


async def senders(of: Attacker) -> None:
    """200 bodies of 30 MB that come a byte a second, 200 half headers, 200 silent connections."""

    async def go_on(begin: bytes) -> None:
        while True:
            await _with_socket(of, begin, _send_slowly)

    head = of.head(30_000_000)
    begins = [head, head[:-4], b""]
    await asyncio.gather(*(go_on(begins[number % 3]) for number in of.many(600)))


async def _with_socket(
    of: Attacker, begin: bytes, then: Callable[[socket.socket], Awaitable[None]]
) -> None:
    loop, end = asyncio.get_running_loop(), socket.socket()
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    end.setblocking(False)
    try:
        await loop.sock_connect(end, ("127.0.0.1", of.port))
        await loop.sock_sendall(end, begin)
        await then(end)
        of.answered["closed"] += 1
    except OSError as error:
        of.answered[f"connection broke, {type(error).__name__}"] += 1
    finally:
        end.close()
    await asyncio.sleep(random.uniform(0.5, 1.5))  # noqa: S311


async def _read_slowly(end: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while await loop.sock_recv(end, 1):  # noqa: ASYNC110  # it is to be slow
        await asyncio.sleep(1)


async def _send_slowly(end: socket.socket) -> None:
    """Until there is an answer, or an end."""
    loop = asyncio.get_running_loop()
    answer = asyncio.create_task(loop.sock_recv(end, 100))
    try:
        while not answer.done():
            await asyncio.wait([answer], timeout=1)
            await loop.sock_sendall(end, b"{")
    finally:
        answer.cancel()


async def long(of: Attacker) -> None:
    """64 answers at a time, as long as slots can hold, of one that may have six open."""
    request = of.request(chat(max_tokens=LONG))

    async def go_on() -> None:
        client = Client(of.port)
        while True:
            if await of.send(client, request) != OK:
                await asyncio.sleep(1)

    await asyncio.gather(*(go_on() for _ in of.many(64)))


async def everything(of: Attacker) -> None:
    """All of these at the same time, each at a quarter of its rate."""
    of.scale /= 4
    rows = grammars, bodies, queue, readers, senders, users
    await asyncio.gather(*(row(of) for row in rows))


async def bug(of: Attacker) -> None:
    """Requests that crash the real server by a bug that nobody knows yet, four at a time."""

    async def go_on(number: int) -> None:
        client = Client(of.port)
        for turn in itertools.count():
            text = f"{number}.{turn}: {BUG}"
            body = chat(messages=[{"role": "user", "content": text}], stream=turn % 2 == 0)
            await of.send(client, of.request(body))
            await asyncio.sleep(0.5)

    await asyncio.gather(*(go_on(number) for number in of.many(4)))


async def flood(of: Attacker) -> None:
    """5,000 jobs of 1 MB, 1,000 at a time, each once."""
    about = {"role": "user", "content": "Hi", "name": "x" * 10**6}
    left = itertools.repeat(of.request(chat(messages=[about])), 5000)

    async def go_on() -> None:
        client = Client(of.port)
        for request in left:
            await of.send(client, request)

    await asyncio.gather(*(go_on() for _ in of.many(1000)))


ATTACKS: Mapping[str, Callable[[Attacker], Awaitable[None]]] = {
    row.__name__: row
    for row in (grammars, bodies, queue, long, readers, senders, users, everything, bug)
}
ROWS = {**ATTACKS, "flood": flood}
