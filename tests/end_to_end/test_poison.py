"""A request that crashes the real llama.cpp server each time, among others that are innocent."""

import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from testing.builders import make_token
from testing.processes import LlamaServer, api, bridge, free_port, program, valkey

pytestmark = pytest.mark.real

SLOTS = 4
POISONOUS = 400  # tokens of a prompt


class Crasher:
    """Keeps a server running, as a supervisor does, and kills it when it gets the poison."""

    def __init__(self, server: LlamaServer, log: Path) -> None:
        self.crashes = 0
        self._server = server
        self._log = log
        self._over = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            with program(self._server.command(), self._log) as server:
                while not self._over.is_set() and not self._has_poison():
                    time.sleep(0.02)
                if not self._over.is_set():
                    self.crashes += 1  # first: the client may be told before we have reaped it
                    server.signal(signal.SIGKILL)
                    server.process.wait(10)

    def _has_poison(self) -> bool:
        try:
            slots = httpx.get(f"{self._server.url}/slots", timeout=5, trust_env=False).json()
        except (httpx.HTTPError, ValueError):
            return False
        if not isinstance(slots, list):  # it loads
            return False
        busy = (slot for slot in slots if slot["is_processing"])
        return any(slot.get("n_prompt_tokens", 0) > POISONOUS for slot in busy)


def test_poison_fails_by_itself_after_two_crashes_and_all_others_are_answered(
    tmp_path: Path, models: dict[str, Path]
) -> None:
    server = LlamaServer(models["small"], free_port(), "small", SLOTS)
    crasher = Crasher(server, tmp_path / "server.log")
    with (
        valkey(tmp_path) as redis_url,
        api(redis_url, tmp_path / "api.log") as (_, url),
        crasher.running(),
        bridge(redis_url, server, tmp_path / "bridge.log"),
        ThreadPoolExecutor(16) as pool,
        httpx.Client(base_url=url, headers=bearer(), timeout=120) as client,
    ):

        def ask(text: str, tokens: int) -> httpx.Response:
            body: dict[str, Any] = {"model": "small", "max_tokens": tokens, "ignore_eos": True}
            body["messages"] = [{"role": "user", "content": text}]
            return client.post("/v1/chat/completions", json=body)

        innocent = [pool.submit(ask, f"Story {number}, please.", 40) for number in range(4)]
        poison = pool.submit(ask, "word and more " * 100, 900)
        innocent += [pool.submit(ask, f"Tale {number}, please.", 40) for number in range(4)]
        failed = poison.result()
        assert failed.status_code == 502, failed.text
        assert crasher.crashes == 2, failed.text
        assert "llama-server crashed while it had this request" in failed.text
        answers = [each.result() for each in innocent]
        assert [answer.status_code for answer in answers] == [200] * len(innocent)
        assert ask("And now?", 5).status_code == 200


def bearer() -> dict[str, str]:
    return {"Authorization": f"Bearer {make_token()}"}
