"""Many requests at once: every slot is used, and no server is ever given more than it has."""

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from testing.processes import LlamaServer
from tests.end_to_end.conftest import SLOTS, Fleet

pytestmark = pytest.mark.real

CHATS = 50
TOKENS = 400


def metric(client: httpx.Client, server: LlamaServer, name: str) -> float:
    text = client.get(f"{server.url}/metrics").text
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith(name)))


class Watch:
    """Looks at the servers' own counts while something runs."""

    def __init__(self, servers: tuple[LlamaServer, ...]) -> None:
        self.deferred: list[float] = []
        self.busy: list[list[float]] = []
        self._servers = servers
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(headers={"Connection": "close"}) as client:
            while not self._over.wait(0.01):
                self._look(client)

    def _look(self, client: httpx.Client) -> None:
        servers = self._servers
        self.deferred += [metric(client, s, "llamacpp:requests_deferred") for s in servers]
        self.busy.append([metric(client, s, "llamacpp:requests_processing") for s in servers])


def test_fifty_chats_at_once_are_all_answered_and_none_waits_inside_a_server(fleet: Fleet) -> None:
    client = fleet.openai()

    def chat(number: int) -> int:
        asked = [{"role": "user", "content": f"Story {number}, please."}]
        answer = client.chat.completions.create(
            model="tiny", messages=asked, max_tokens=TOKENS, extra_body={"ignore_eos": True}
        )
        return answer.usage.completion_tokens if answer.usage else 0

    with Watch(fleet.servers) as watch, ThreadPoolExecutor(CHATS) as pool:
        tokens = list(pool.map(chat, range(CHATS)))
    assert tokens == [TOKENS] * CHATS
    assert len(watch.deferred) >= 20
    assert max(watch.deferred) == 0
    assert all(max(busy[i] for busy in watch.busy) == SLOTS for i in range(len(fleet.servers)))
