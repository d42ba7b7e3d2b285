"""The trials, each on a fleet of its own. What is found must be so on a machine of two cores."""

import asyncio
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from bench.load_generator import Client, Exchange, at_times, closed_loop, run
from testing.processes import program, pss_kb
from tests.burst.fleet import Fleet, fleet
from tests.overload.bridges import bridges
from tests.overload.cores import cores_left
from tests.overload.finding import Finding, Outcome
from tests.overload.loads import (
    Clients,
    ask_again,
    ask_in_turn,
    chats,
    error_code,
    status,
)

_PACE = 5  # tokens/s of a slot
_BUSY = "while True: pass"
_MB = 10**6
_TWICE_FOR_S = 40
Findings = Iterator[Finding]


def burst(folder: Path) -> Findings:
    """2,000 streams at once on an idle machine, twice each."""
    with fleet(folder, 3, 1000, _PACE) as of:
        outcome = Outcome.of(run(closed_loop(of.port, chats(4000, 40), 2000)))
    yield from _tell(outcome)
    yield Finding("whole, of 4,000", len(outcome.whole), least=4000)
    yield Finding("first token, p50, s", outcome.first_token_s())
    yield Finding("first token, p99, s", outcome.first_token_s(0.99))


def busy(folder: Path) -> Findings:
    """1,000 streams at once while other programs take both cores."""
    with fleet(folder, 3, 1000, _PACE) as of:
        with ExitStack() as hogs:
            for number in range(2):
                hogs.enter_context(program([sys.executable, "-c", _BUSY], folder / f"hog{number}"))
            outcome = Outcome.of(run(closed_loop(of.port, chats(1000, 40), 1000)))
        time.sleep(2)
        after = Outcome.of(run(at_times(of.port, chats(10, 5, every_s=0.2))))
    yield from _tell(outcome)
    yield Finding("whole, of 1,000", len(outcome.whole), least=700)
    yield Finding("refused after, worst, s", outcome.refused_after_s(), most=1)
    yield Finding("first token, p50, s", outcome.first_token_s())
    yield Finding("2 s after the load: whole, of 10", len(after.whole), least=10)
    yield Finding("2 s after the load: first token, p50, s", after.first_token_s(), most=0.5)


def tenants(folder: Path) -> Findings:
    """One tenant sends 1,300 at once into 8 slots, then 400 of 1 MB; another one 28, one by one."""
    with fleet(folder, 1, 8, 50) as of:
        small, large, beside = run(_crowd_beside(of))
    yield from _second_try("1,300 at once", small)
    yield from _second_try("400 x 1 MB", large)
    other = Outcome.of(beside)
    yield from _tell(other, "the other tenant: ")
    yield Finding("the other tenant: whole, of 28", len(other.whole), least=28)
    yield Finding("the other tenant: first token, p50, s", other.first_token_s(), most=2)
    yield Finding("the other tenant: first token, worst, s", other.first_token_s(1))


async def _crowd_beside(of: Fleet) -> Any:
    beside = []

    async def crowd(number: int, body_bytes: int) -> tuple[list[Exchange], list[Exchange]]:
        requests = chats(number, 10, stream=False, tenant="crowd", body_bytes=body_bytes)
        first = asyncio.create_task(closed_loop(of.port, requests, number))
        await asyncio.sleep(0.2)
        beside.extend(await ask_in_turn(of.port, chats(14, 10, tenant="other")))
        answers = await first
        refused = [each for each in answers if status(each) != 200]
        return answers, await ask_again(of.port, refused)

    return await crowd(1300, 0), await crowd(400, _MB), beside


def _second_try(name: str, tries: tuple[list[Exchange], list[Exchange]]) -> Findings:
    first, second = tries
    yield from _tell(Outcome.of(first), f"{name}: ")
    codes = Counter(error_code(each) for each in first if status(each) in (429, 503))
    for code, number in codes.items():
        yield Finding(f"{name}: refused, {code}", number)
    let_in = sum(status(each) == 200 for each in second)
    yield Finding(f"{name}: let in on the second try", let_in / max(1, len(second)), least=0.9)


def tiny(folder: Path) -> Findings:
    """Twice as many tiny requests a second as the capacity that was measured just before.

    The clients and other programs take more of the processors then. So the capacity is that on the
    processors which they leave to the system.
    """
    with fleet(folder, 3, 200, 0) as of:
        capacity, answers, for_s, left = run(_twice_the_capacity(of.port))
    outcome = Outcome.of(answers)
    yield from _tell(outcome)
    yield Finding("capacity, requests/s", capacity)
    yield Finding("... cores left to the system", left[0])
    yield Finding("sent, requests/s", len(answers) / _TWICE_FOR_S)
    yield Finding("... cores left to the system", left[1])
    whole = len(outcome.whole) / for_s / capacity
    yield Finding("whole, part of the capacity", whole)
    on_left = whole * left[0] / left[1]
    yield Finding("whole, part of the capacity on the cores left", on_left, least=0.9)
    yield Finding("refused after, p50, s", outcome.refused_after_s(0.5))
    yield Finding("refused after, worst, s", outcome.refused_after_s(), most=1)


async def _twice_the_capacity(port: int) -> Any:
    clients = Clients(port)
    with cores_left() as at_capacity:
        answers, took_s = await clients.at_once(64, 10)
    capacity = len(Outcome.of(answers).whole) / took_s
    with cores_left() as at_twice:
        started_s = time.perf_counter()
        answers = await clients.at_rate(2 * capacity, _TWICE_FOR_S)
        for_s = time.perf_counter() - started_s
    return capacity, answers, for_s, [*at_capacity, *at_twice]


def slow(folder: Path) -> Findings:
    """300 clients that read a byte a second; another one beside them."""
    with fleet(folder, 3, 110, 200) as of:
        outcome, largest = run(_beside_slow(of))  # type: ignore[arg-type, misc]
    yield from _tell(outcome)
    yield Finding("the other client: whole, of 20", len(outcome.whole), least=20)
    yield Finding("the other client: first token, p50, s", outcome.first_token_s())
    yield Finding("the largest bridge, MB", largest["bridge"], most=100)
    yield Finding("the API, MB", largest["api"])


async def _beside_slow(of: Fleet) -> tuple[Outcome, Mapping[str, float]]:
    async with _readers_of_bytes(of.port, 300):
        answers = await ask_in_turn(of.port, chats(20, 100))
        largest = {
            "bridge": max(pss_kb(bridge.process.pid) for bridge in of.bridges) / 1024,
            "api": pss_kb(of.api.process.pid) / 1024,
        }
        return Outcome.of(answers), largest


@asynccontextmanager
async def _readers_of_bytes(port: int, number: int) -> AsyncIterator[None]:
    loop, sockets = asyncio.get_running_loop(), []
    for request in chats(number, 3000, tenant="slow"):
        reader = socket.socket()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        reader.setblocking(False)
        await loop.sock_connect(reader, ("127.0.0.1", port))
        await loop.sock_sendall(reader, request.content)
        sockets.append(reader)

    async def read() -> None:
        while True:
            for reader in sockets:
                try:
                    reader.recv(1)
                except OSError:
                    continue
            await asyncio.sleep(1)

    reading = asyncio.create_task(read())
    yield
    reading.cancel()
    for reader in sockets:
        reader.close()


def bodies(folder: Path) -> Findings:
    """400 bodies of 1 MB wait; then their clients leave."""
    room = str(2**30)
    with fleet(folder, 1, 1, 0.05, max_queue_bytes=room, max_held_bytes=room) as of:
        before, most, after, sent = run(_waiting_bodies(of))  # type: ignore[arg-type, misc]
    yield Finding("the API before, MB", before / _MB)
    yield Finding("the API at most, part of the bytes", (most - before) / sent, most=1.5)
    yield Finding("a minute after, part of the bytes", (after - before) / sent, most=0.2)


async def _waiting_bodies(of: Fleet) -> tuple[float, float, float, float]:
    def size() -> int:
        return pss_kb(of.api.process.pid) * 1024

    requests = chats(400, 100, body_bytes=_MB)
    before = most = size()
    clients = [Client(of.port) for _ in requests]
    load = asyncio.gather(*map(Client.ask, clients, requests))
    for _ in range(150):
        await asyncio.sleep(0.2)
        most = max(most, size())
    for client in clients:
        client.close()
    await load
    for _ in range(60):
        await asyncio.sleep(1)
        if size() < 1.2 * before:
            break
    return before, most, size(), sum(len(request.content) for request in requests)


def _tell(outcome: Outcome, of: str = "") -> Findings:
    yield Finding(f"{of}whole", len(outcome.whole))
    yield Finding(f"{of}refused", len(outcome.refused))
    yield Finding(f"{of}accepted and broken", len(outcome.broken), most=0)
    for why in outcome.reasons():
        print(f"    {why}")


ROWS: Mapping[str, Callable[[Path], Findings]] = {
    row.__name__: row for row in (burst, busy, tenants, tiny, slow, bodies, bridges)
}
