"""One hostile client beside a good one: does it crash servers, or make the good one wait?

python -m tests.hostile --minutes 2

Exit status 1 when a server was started again, when a breaker opened, or when the good client's
median was more than 1.2 times what it was alone.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from llamaq.demo_model import write_demo_model
from tests.builders import make_token
from tests.hostile.attacks import MODEL, TEMPLATE, attacks
from tests.processes import Program, answers, api, llamaq, program, valkey, wait_until

MOST_RATIO = 1.2
START_S = 60.0
_PATIENCE_S = 20.0
_PATH = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Fleet:
    """An API, and two bridges that have started a server each."""

    url: str
    bridges: Sequence[Program]

    def restarts(self) -> int:
        """How often a server was started again."""
        starts = sum(bridge.output.count("started llama-server pid=") for bridge in self.bridges)
        return starts - len(self.bridges)

    def opened(self) -> int:
        """How often a breaker opened."""
        return sum(bridge.output.count("breaker=open") for bridge in self.bridges)


@contextmanager
def fleet(folder: Path) -> Iterator[Fleet]:
    """Starts all of it."""
    write_demo_model(folder / f"{MODEL}.gguf", template=TEMPLATE)
    server = [sys.executable, "-m", "llamaq.demo_server", "-m", str(folder / f"{MODEL}.gguf")]
    server += ["--alias", MODEL, "--parallel", "4", "--ctx-size", "8192", "--metrics"]
    with ExitStack() as stack:
        redis_url = stack.enter_context(valkey(folder))
        _, url = stack.enter_context(api(redis_url, folder / "api.log"))
        bridges = []
        for number in range(2):
            log = folder / f"bridge{number}.log"
            environment = {
                "LLAMAQ_REDIS_URL": redis_url,
                "LLAMAQ_WORKER_NAME": f"worker{number}",
            }
            bridges.append(
                stack.enter_context(program(llamaq("bridge", "--", *server), log, environment))
            )
        running = Fleet(url, bridges)
        wait_until(lambda: all("joined worker=" in b.output for b in bridges), START_S)
        wait_until(lambda: answers(f"{url}/ready"), START_S)
        yield running


class Good:
    """Streams one answer after the other, and measures each."""

    def __init__(self, url: str) -> None:
        self._url = url + _PATH
        self._headers = {"Authorization": f"Bearer {make_token(sub='good')}"}
        self.seconds: list[float] = []
        self.failed: Counter[str] = Counter()

    async def run(self, seconds: float) -> float:
        """The median of the answers within so many seconds, in ms."""
        self.seconds.clear()
        until = time.monotonic() + seconds
        async with httpx.AsyncClient(trust_env=False, timeout=_PATIENCE_S) as client:
            while time.monotonic() < until:
                await self._ask(client)
        return 1000 * median(self.seconds)

    async def _ask(self, client: httpx.AsyncClient) -> None:
        body = {"model": MODEL, "stream": True, "max_tokens": 256, "ignore_eos": True}
        body["messages"] = [{"role": "user", "content": f"Story {time.monotonic_ns()}"}]
        began = time.monotonic()
        try:
            answer = await client.post(self._url, json=body, headers=self._headers)
            if not answer.text.endswith("data: [DONE]\n\n"):
                self.failed[f"{answer.status_code} {answer.text[-200:]}"] += 1
        except httpx.HTTPError as error:
            self.failed[type(error).__name__] += 1
        self.seconds.append(time.monotonic() - began)


async def attack(url: str, answered: Counter[str]) -> None:
    """Sends one attack after the other, for ever."""
    headers = {"Authorization": f"Bearer {make_token(sub='hostile')}"}
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        for body in attacks():
            try:
                answer = await client.post(url + _PATH, json=body, headers=headers)
                answered[_shown(answer)] += 1
            except httpx.HTTPError as error:
                answered[type(error).__name__] += 1


def _shown(answer: httpx.Response) -> str:
    if answer.status_code == 200:
        return "200"
    error: dict[str, Any] = json.loads(answer.text)["error"]
    return f"{answer.status_code} {error['code']}"


async def trial(running: Fleet, seconds: float) -> list[str]:
    """Runs it; returns what was wrong."""
    good, answered = Good(running.url), Counter[str]()
    await good.run(min(5.0, seconds / 10))  # so that all is warm
    alone_ms = await good.run(seconds / 3)
    attacker = asyncio.create_task(attack(running.url, answered))
    beside_ms = await good.run(seconds * 2 / 3)
    if attacker.done():
        attacker.result()
    attacker.cancel()
    ratio = beside_ms / alone_ms
    restarts, opened = running.restarts(), running.opened()
    print("hostile requests:", ", ".join(f"{k}: {n}" for k, n in answered.most_common()))
    print(f"servers started again: {restarts}")
    print(f"breakers opened: {opened}")
    print(f"good client, median: {alone_ms:.1f} ms alone, {beside_ms:.1f} ms beside: {ratio:.2f}")
    checks = {
        f"{restarts} servers were started again": restarts > 0,
        f"{opened} times a breaker opened": opened > 0,
        f"the good client took {ratio:.2f} times as long": ratio > MOST_RATIO,
        f"the good client's requests failed: {dict(good.failed)}": bool(good.failed),
    }
    return [what for what, is_wrong in checks.items() if is_wrong]


def main() -> int:
    """Starts the fleet and runs the trial."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.hostile",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="llamaq-hostile-") as folder, fleet(Path(folder)) as f:
        wrong = asyncio.run(trial(f, options.minutes * 60))
    for line in wrong:
        print("WRONG", line)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
