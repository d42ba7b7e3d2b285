"""`llamaq drain`, `resume` and `cancel` at a fleet of real llama.cpp servers."""

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis
from click.testing import CliRunner, Result

from dispatcher.commands import Commands
from dispatcher.connection import open_redis
from dispatcher.keys import MODELS, Keys
from dispatcher.worker import WorkerFacts, WorkerSession
from llamaq.__main__ import main
from testing.waiting import wait_until
from tests.end_to_end.conftest import Fleet

pytestmark = pytest.mark.real

LONG = {"model": "tiny", "stream": True, "max_tokens": 600, "ignore_eos": True} | {
    "messages": [{"role": "user", "content": "A long story, please."}]
}
SHORT = LONG | {"stream": False, "max_tokens": 1}


@pytest.fixture(autouse=True)
def _nobody_stays_drained(fleet: Fleet) -> Iterator[None]:
    yield
    for name in ("worker0", "worker1"):
        llamaq(fleet, "resume", name)
    wait_until(lambda: _states(fleet) == ["healthy", "healthy"])


def llamaq(fleet: Fleet, *arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, env={"LLAMAQ_REDIS_URL": fleet.redis_url})


@contextmanager
def standing_still(fleet: Fleet, worker: str) -> Iterator[None]:
    """What runs there can't end meanwhile, however busy this machine is."""
    pid = fleet.server_pids[int(worker.removeprefix("worker")[0])]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _workers(fleet: Fleet) -> list[dict[str, object]]:
    models = json.loads(llamaq(fleet, "status", "--json").stdout)
    (model,) = [each for each in models if each["model"] == "tiny"]  # other tests have more
    workers: list[dict[str, object]] = model["workers"]
    return workers


def _states(fleet: Fleet) -> list[str]:
    """What takes jobs is healthy here."""
    states = ["healthy" if one["accepting"] else "drained" for one in _workers(fleet)]
    return sorted(states)


def test_drained_worker_ends_what_it_has_and_gets_no_more_until_it_is_resumed(fleet: Fleet) -> None:
    with fleet.http() as client, client.stream("POST", "/v1/chat/completions", json=LONG) as stream:
        worker = stream.headers["x-llamaq-worker"]
        with standing_still(fleet, worker):
            drained = llamaq(fleet, "drain", worker)
        assert (drained.exit_code, drained.stderr) == (0, "")
        assert f"{worker} (tiny) takes no more jobs; 1 still run.\n" in drained.stdout
        others = {
            client.post("/v1/chat/completions", json=SHORT).headers["x-llamaq-worker"]
            for _ in range(6)
        }
        assert len(others) == 1
        assert worker not in others
        events = [line for line in stream.iter_lines() if line.startswith("data: ")]
        assert (events[-1], len(events) > 600) == ("data: [DONE]", True)
    waited = llamaq(fleet, "drain", worker, "--wait", "--json")
    assert [row["is_news"] for row in json.loads(waited.stdout)] == [False]
    shown = llamaq(fleet, "status").stdout
    assert next(line for line in shown.splitlines() if worker in line).split()[1] == "drained"
    assert f"{worker} (tiny) takes jobs again." in llamaq(fleet, "resume", worker).stdout
    wait_until(lambda: _states(fleet) == ["healthy", "healthy"])


def test_job_that_runs_is_cancelled_and_its_client_is_told(fleet: Fleet) -> None:
    with fleet.http() as client, client.stream("POST", "/v1/chat/completions", json=LONG) as stream:
        lines = stream.iter_lines()
        next(lines)
        with standing_still(fleet, stream.headers["x-llamaq-worker"]):
            cancelled = llamaq(fleet, "cancel", stream.headers["x-request-id"])
        assert cancelled.exit_code == 0
        assert "runs no more within a second" in cancelled.stdout
        last = [line for line in lines if line.startswith("data: ")][-1]
        assert json.loads(last.removeprefix("data: "))["error"]["code"] == "cancelled_by_operator"
    again = llamaq(fleet, "cancel", stream.headers["x-request-id"])
    assert (again.exit_code, "is over already: cancelled." in again.stdout) == (1, True)


def test_job_that_waits_is_cancelled_and_its_client_does_not_send_it_again(fleet: Fleet) -> None:
    llamaq(fleet, "drain", "worker0")
    last = llamaq(fleet, "drain", "worker1")
    assert "no other worker of the model 'tiny' takes jobs" in last.stderr
    with fleet.http() as client, redis.Redis.from_url(fleet.redis_url) as looking:
        got = []
        asking = threading.Thread(
            target=lambda: got.append(client.post("/v1/chat/completions", json=SHORT))
        )
        asking.start()
        wait_until(lambda: looking.zcard("llamaq:{tiny}:queue") == 1)
        (place,) = looking.zrange("llamaq:{tiny}:queue", 0, -1)
        cancelled = llamaq(fleet, "cancel", place.decode().rpartition("|")[2], "--json")
        assert [row["was"] for row in json.loads(cancelled.stdout)] == ["queued"]
        asking.join()
    assert (got[0].status_code, got[0].headers["x-should-retry"]) == (503, "false")
    assert got[0].json()["error"]["code"] == "cancelled_by_operator"


def test_order_to_a_bridge_of_an_older_release_comes_with_a_warning(fleet: Fleet) -> None:
    """Its row names no place, and it renews without a look at orders."""

    async def register() -> str:
        client = open_redis(fleet.redis_url)
        session = WorkerSession("old", Commands(client, Keys("older")), 4)
        facts = WorkerFacts("older", "http://127.0.0.1:9", "healthy", 2048, "b1", "f1")
        await session.register(2, True, facts)
        await client.aclose()
        return session.identity[0]

    worker = asyncio.run(register())
    with redis.Redis.from_url(fleet.redis_url) as client:
        client.zadd(MODELS, {"older": time.time()})
        try:
            drained = llamaq(fleet, "drain", worker)
        finally:
            llamaq(fleet, "resume", worker)
            client.zrem(MODELS, "older")
    assert drained.exit_code == 0
    assert f"the bridge of {worker} is of an older version, which ignores orders" in drained.stderr
    assert "older version" not in llamaq(fleet, "drain", "worker0").stderr


def test_unknown_names_are_told(fleet: Fleet) -> None:
    unknown = llamaq(fleet, "drain", "wroker0")
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    assert "There is no worker 'wroker0'. The nearest are: worker0-" in unknown.stderr
    assert "no job or request 'x_'" in llamaq(fleet, "cancel", "x\x1b").stderr
