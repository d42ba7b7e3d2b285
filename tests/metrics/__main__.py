"""Prometheus scrapes a live llamaq, and runs every query of the dashboard and of the alerts."""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import httpx

from dispatcher.metric import Kind
from dispatcher.metrics import METRICS
from testing.processes import answers, free_port, llamaq, program
from testing.waiting import wait_until
from tests.metrics.promtool import Prometheus, check, configuration, tool
from tests.metrics.queries import of_alerts, of_dashboard

LOAD_S = 45.0
CLIENTS = 12
_STARTED = time.monotonic()
_SETTINGS = {"LLAMAQ_API_WORKERS": "2", "LLAMAQ_METRICS_TENANTS": "10"}


def step(text: str) -> None:
    print(f"== {time.monotonic() - _STARTED:4.0f}s  {text}", flush=True)


def main() -> None:
    argparse.ArgumentParser(prog="scripts/try-metrics", description=__doc__).parse_args()
    tool("prometheus")
    step("promtool checks the alerts, and their tests")
    check("check", "rules", "alerts.yml")
    check("test", "rules", "alerts_test.yml")
    with tempfile.TemporaryDirectory(prefix="llamaq-metrics-") as name:
        run(Path(name))
    step("all good")


def run(folder: Path) -> None:
    first = free_ports(3)
    step("llamaq up --demo, with two processes of the API")
    with up(folder, first) as (url, token):
        scraped = [f"127.0.0.1:{first + number}" for number in range(3)]
        file = configuration(folder, url.removeprefix("http://"), token, scraped[1:])
        with prometheus(folder, file) as found:
            step(f"load for {LOAD_S:.0f} s")
            asyncio.run(load(url, token_of(folder, "chat,models")))
            step("promtool checks the names")
            for each in scraped:
                check("check", "metrics", told=text_of(each))
            look(found)


def look(found: Prometheus) -> None:
    """All targets are there, all metrics have come, and all queries have answers."""
    step("every query of the dashboard has data, and every one of the alerts runs")
    faults = [f"not scraped: {each}" for each in found.unhealthy()]
    suffix = {Kind.HISTOGRAM: "_bucket"}
    expected = {metric.name + suffix.get(metric.kind, "") for metric in METRICS}
    faults += [f"never came: {name}" for name in sorted(expected - found.names())]
    queries = list(of_dashboard())
    for title, query in queries:
        try:
            if not found.values(query):
                faults.append(f"no data: {title}: {query}")
        except HTTPError as error:
            faults.append(f"can't be run: {title}: {query}: {error.read().decode()}")
    alerts = list(of_alerts())
    for query in alerts:
        try:
            found.values(query)
        except HTTPError as error:
            faults.append(f"can't be run: {query}: {error.read().decode()}")
    rules = found.get("rules")["groups"][0]["rules"]
    faults += [f"{rule['name']}: {rule['lastError']}" for rule in rules if rule["health"] != "ok"]
    faults += [f"fires: {rule['name']}" for rule in rules if rule["state"] == "firing"]
    print(f"{len(expected)} metrics, {len(queries)} queries of the dashboard, {len(alerts)} alerts")
    if faults:
        sys.exit("\n".join(faults))


@contextmanager
def up(folder: Path, first: int) -> Iterator[tuple[str, str]]:
    """A `llamaq up --demo`; yields its URL and a token for its metrics."""
    port, listen = free_port(), f"127.0.0.1:{first}"
    command = llamaq("up", "--demo", "--data-dir", str(folder / "up"), "--port", str(port))
    with program([*command, "--metrics-listen", listen], folder / "up.log", _SETTINGS) as running:
        wait_until(lambda: "A worker serves demo" in running.output, 120)
        for number in range(3):
            wait_until(lambda at=first + number: answers(f"http://127.0.0.1:{at}/metrics"), 30)
        yield f"http://127.0.0.1:{port}", token_of(folder, "metrics")


@contextmanager
def prometheus(folder: Path, file: Path) -> Iterator[Prometheus]:
    """A Prometheus with this configuration."""
    address = f"127.0.0.1:{free_port()}"
    places = [f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address={address}"]
    command = [tool("prometheus"), f"--config.file={file}", *places]
    with program(command, folder / "prometheus.log", {}):
        wait_until(lambda: answers(f"http://{address}/-/ready"), 30)
        yield Prometheus(f"http://{address}")


def token_of(folder: Path, scopes: str) -> str:
    command = llamaq(
        "token", "create", "trial", "--scopes", scopes, "--data-dir", str(folder / "up")
    )
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def text_of(address: str) -> bytes:
    with urlopen(f"http://{address}/metrics", timeout=10) as found:
        return bytes(found.read())


def free_ports(number: int) -> int:
    """The first of so many free ports in a row."""
    while True:
        first = free_port()
        if not any(answers(f"http://127.0.0.1:{first + more}/") for more in range(number)):
            return first


async def load(url: str, token: str) -> None:
    """More than the demonstration gets through at once, and a few requests that are refused."""
    until = time.monotonic() + LOAD_S
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client:
        await asyncio.gather(*(ask_again(client, number, until) for number in range(CLIENTS)))


async def ask_again(client: httpx.AsyncClient, number: int, until: float) -> None:
    messages = [{"role": "user", "content": f"Tell story {number} once more, please. " * 8}]
    chat = {"model": "demo", "messages": messages, "stream": number % 2 == 0, "max_tokens": 40}
    while time.monotonic() < until:
        (await client.post("/v1/chat/completions", json=chat)).raise_for_status()
        if number == 0:
            await client.post("/v1/chat/completions", json=chat | {"model": "none"})


if __name__ == "__main__":
    main()
