"""The log line of an attempt: what it tells, and what it never does."""

import asyncio
import logging
import re

import pytest

from dispatcher.errors import Fenced
from testing.fake_llama_server import Chat, Reply
from testing.stage import Stage
from testing.waiting import until
from worker_bridge import attempt_log
from worker_bridge.attempt_log import LINES

SECRET = "the-words-of-a-prompt"
pytestmark = pytest.mark.real


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "llamaq")


class Attempts:
    """The lines so far, as fields."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def __call__(self) -> list[dict[str, str]]:
        records = [each for each in self._caplog.records if each.name == LINES.log.name]
        lines = [each.getMessage() for each in records if each.levelno == logging.INFO]
        return [dict(re.findall(r'(\w+)=("[^"]*"|\S+)', line)) for line in lines]

    async def come(self, count: int) -> list[dict[str, str]]:
        await until(lambda: len(self()) >= count)
        return self()


@pytest.fixture
def attempts(caplog: pytest.LogCaptureFixture) -> Attempts:
    return Attempts(caplog)


async def refuse(chat: Chat) -> None:
    await chat.refuse(400, f"bad words: {SECRET}")


async def fail(chat: Chat) -> None:
    await chat.refuse(500, f"Compute error: {SECRET}")


async def doubt(chat: Chat) -> None:
    await chat.refuse(500, f"nobody knows '{SECRET}'")


async def repeat(chat: Chat) -> None:
    await chat.refuse(500, f"Unknown {SECRET} was said")


async def hang(chat: Chat) -> None:
    await chat.say(SECRET)
    await chat.hang()


async def test_line_tells_of_an_attempt_under_the_name_of_its_request(
    stage: Stage, attempts: Attempts
) -> None:
    server = stage.server()
    async with stage.bridged(server):
        answer = await stage.ask()
        (line,) = await attempts.come(1)
    told = {name: line[name] for name in ("id", "end", "became", "model", "path")}
    assert told == {
        "id": answer.headers["x-request-id"],
        "end": "done",
        "became": "answered",
        "model": stage.model,
        "path": "/v1/chat/completions",
    }
    assert line["worker"] == answer.headers["x-llamaq-worker"]
    usage = answer.json()["usage"]
    counts = line["prompt_tokens"], line["completion_tokens"], line["cached_tokens"]
    assert counts == (str(usage["prompt_tokens"]), str(usage["completion_tokens"]), "0")
    assert 0 <= int(line["slot_ms"]) <= int(line["ttft_ms"]) <= int(line["ms"])
    assert "choice" not in line


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (refuse, {"end": "rejected", "became": "rejected", "status": "400"}),
        (
            fail,
            {"end": "worker", "became": "requeued", "reason": '"The worker failed: Compute error"'},
        ),
        (
            doubt,
            {"end": "unsure", "became": "requeued", "reason": '"The worker failed: nobody knows"'},
        ),
        (
            repeat,
            {"end": "unsure", "became": "requeued", "reason": '"The worker failed: Unknown"'},
        ),
    ],
    ids=["refusal", "failure", "doubt", "words of the prompt"],
)
async def test_line_tells_what_became_of_the_job_and_not_what_the_server_quotes(
    stage: Stage,
    attempts: Attempts,
    caplog: pytest.LogCaptureFixture,
    fault: Reply,
    told: dict[str, str],
) -> None:
    stage.script.append(fault)
    asked = [{"role": "user", "content": SECRET}]
    async with stage.bridged(stage.server()), stage.bridged(stage.server()):
        answer = await stage.ask(messages=asked)
        line, *others = await attempts.come(1 if fault is refuse else 2)
    assert told.items() <= line.items()
    assert {each["id"] for each in [line, *others]} == {answer.headers["x-request-id"]}
    assert [each["became"] for each in others] == ["answered"] * len(others)
    assert SECRET not in caplog.text


async def test_line_tells_that_the_client_has_left(
    stage: Stage, attempts: Attempts, caplog: pytest.LogCaptureFixture
) -> None:
    stage.script.append(hang)
    async with stage.bridged(stage.server()):
        asked = asyncio.create_task(stage.ask(stream=True))
        await until(stage.has_job("running"))
        asked.cancel()
        (line,) = await attempts.come(1)
    told = line["end"], line["became"], line["stopped"]
    assert told == ("unwanted", "cancelled", "cancelled")
    assert SECRET not in caplog.text


async def test_equal_failures_are_one_warning(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Which jobs met them is told by their lines."""
    stage.script.extend([fail] * 2)
    async with stage.bridged(stage.server()), stage.bridged(stage.server()):
        await stage.ask()
    warnings = {each.getMessage() for each in caplog.records if "gives a job back" in each.msg}
    assert all(re.fullmatch(r"worker=\S+ gives a job back: .*", each) for each in warnings)


def test_attempt_that_is_not_ours_says_so() -> None:
    class Ended:
        result = None
        became = ""

    assert attempt_log.became_of(Ended(), Fenced("x")) == "not_ours"  # type: ignore[arg-type]
    assert attempt_log.became_of(Ended(), None) == "unsettled"  # type: ignore[arg-type]


def test_server_s_words_are_left_out_where_nobody_knows_the_request() -> None:
    told = attempt_log.reason_of("The worker failed: Dear Ann", None)
    assert told == "The worker failed"
