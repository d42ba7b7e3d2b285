"""Clients that ask all the time while processes are replaced."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx

from testing.builders import make_token
from testing.waiting import wait_until

TOKENS = 80


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: what became of it, and who answered."""

    worker: str
    complete: bool
    said: str = field(repr=False)


class Crowd:
    """Clients that ask all the time, every other one with streaming.

    Each takes one of the addresses, and the next one where nobody listens, as a load balancer does.
    """

    def __init__(self, urls: list[str], model: str, clients: int) -> None:
        self.asked: list[Asked] = []
        self._urls = urls
        self._model = model
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(clients)
        self._running = [self._pool.submit(self._run, number) for number in range(clients)]

    def _run(self, number: int) -> None:
        turn = itertools.count(number)
        while not self._over.is_set():
            response = self._ask(next(turn), stream=number % 2 == 0)
            if response is None:
                self.asked.append(Asked("?", complete=False, said="every address refused"))
                break
            text = response.text
            ended = text.endswith("data: [DONE]\n\n") or '"usage"' in text
            complete = response.status_code == 200 and ended and '"error"' not in text
            worker = response.headers.get("x-llamaq-worker", "?").rpartition("-")[0]
            self.asked.append(Asked(worker, complete, text[:500]))

    def _ask(self, turn: int, *, stream: bool) -> httpx.Response | None:
        question = [{"role": "user", "content": "Tell me a story."}]
        body: dict[str, Any] = {"model": self._model, "messages": question, "stream": stream}
        body |= {"max_tokens": TOKENS, "ignore_eos": True}
        headers = {"Authorization": f"Bearer {make_token()}"}
        first = turn % len(self._urls)
        for url in (*self._urls[first:], *self._urls[:first]):
            try:
                return httpx.post(
                    f"{url}/v1/chat/completions", json=body, headers=headers, timeout=60
                )
            except httpx.ConnectError:
                continue
        return None

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def wait_for(self, worker: str, answers: int = 4) -> None:
        """Waits until a worker of this name has answered."""
        wait_until(lambda: sum(a.worker == worker for a in list(self.asked)) >= answers, 60)

    def wait_for_more(self, answers: int = 8) -> None:
        mark = len(self.asked) + answers
        wait_until(lambda: len(self.asked) >= mark, 60)

    def end(self) -> list[Asked]:
        """Lets all of them end; returns the answers that were not complete."""
        self._over.set()
        for client in self._running:
            client.result(60)
        self._pool.shutdown()
        return [asked for asked in self.asked if not asked.complete]

    def disperse(self) -> None:
        """Ends them; every answer must have been complete."""
        assert self.end() == []
