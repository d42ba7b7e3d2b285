"""The two forms of log lines, in a process of its own: it changes logging for good."""

import json
import subprocess
import sys
from typing import Any

import pytest

_RUN = """
import asyncio, logging, sys, warnings
import llamaq.__main__ as program
from api.request_log import Record, write
from llamaq.logs import batch_lines
from worker_bridge.attempt_log import LINES

program.main(sys.argv[1:], standalone_mode=False)
batch_lines()

log = logging.getLogger("llamaq.some")
log.info("a worker says %s", "\\x1b[2J\\nforged \\u202e")
logging.getLogger("uvicorn.error").warning("of uvicorn")
write(Record("r1", "POST", "/a b", "192.0.2.7", 404, "not_found", user="\\x1b[2J"), "/a b")
LINES.take(("r1", *[None] * (len(LINES.names) - 1)))
log.warning("again")
log.warning("again")
try:
    raise ValueError("odd")
except ValueError:
    log.exception("it failed")

async def fail_in_the_background():
    asyncio.get_running_loop().call_soon(lambda: 1 / 0)
    await asyncio.sleep(0)

asyncio.run(fail_in_the_background())
warnings.warn("old")
raise KeyError("at the end")
"""


def written(*options: str, environment: dict[str, str] | None = None) -> list[str]:
    command = [sys.executable, "-c", _RUN, *options, "join", "192.0.2.1", "--json"]
    env = {"LLAMAQ_REDIS_URL": "redis://:x@redis", **(environment or {})}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 1
    return done.stderr.splitlines()


@pytest.fixture(scope="module")
def objects() -> list[dict[str, Any]]:
    return [json.loads(line) for line in written("--log-format", "json")]


def test_each_line_is_an_object_whoever_wrote_it(objects: list[dict[str, Any]]) -> None:
    told = [(each["level"], each["logger"], each["message"]) for each in objects]
    assert told[:5] == [
        ("info", "llamaq.some", "a worker says \x1b[2J\nforged \u202e"),
        ("warning", "uvicorn.error", "of uvicorn"),
        ("info", "llamaq.access", "request"),
        ("info", "llamaq.attempts", "attempt"),
        ("warning", "llamaq.some", "again"),
    ]
    assert [each[:2] for each in told[5:]] == [
        ("error", "llamaq.some"),
        ("error", "asyncio"),
        ("warning", "py.warnings"),
        ("critical", "llamaq"),
    ]


def test_line_of_a_request_has_its_fields(objects: list[dict[str, Any]]) -> None:
    request, attempt = objects[2], objects[3]
    assert request.pop("time")[-1] == "Z"
    assert request.pop("ms") >= 0
    assert request == {
        **{"level": "info", "logger": "llamaq.access", "message": "request", "id": "r1"},
        **{"method": "POST", "path": "/a b", "peer": "192.0.2.7", "status": 404},
        **{"code": "not_found", "user": "\x1b[2J"},
    }
    assert attempt["id"] == "r1"


def test_exception_is_a_part_of_its_object(objects: list[dict[str, Any]]) -> None:
    errors = [each["error"] for each in objects if "error" in each]
    assert [each["type"] for each in errors] == ["ValueError", "ZeroDivisionError", "KeyError"]
    assert errors[0]["message"] == "odd"
    assert errors[0]["traceback"].startswith("Traceback (most recent call last):\n")


def test_text_has_columns_and_no_control_characters() -> None:
    lines = written(environment={"LLAMAQ_LOG_FORMAT": "text"})
    assert not [line for line in lines if "\x1b" in line or "\u202e" in line]
    assert lines.pop(1) == r"    forged \u202e"
    assert [line[24:] for line in lines[:5]] == [
        r"INFO    llamaq.some     a worker says \x1b[2J",
        "WARNING uvicorn.error   of uvicorn",
        'INFO    llamaq.access   id=r1 method=POST path="/a b" status=404 code=not_found '
        r'peer=192.0.2.7 user="\u001b[2J" ms=' + lines[2].rpartition("=")[2],
        "INFO    llamaq.attempts id=r1",
        "WARNING llamaq.some     again",
    ]
