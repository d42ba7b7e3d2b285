"""A command loads only what it needs: FastAPI alone takes half a second."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from testing.builders import SECRET, make_token

ROOT = Path(__file__).parents[3]
_RUN = """
import json, sys, time
import click
from llamaq.__main__ import main
try:
    main(json.loads(sys.argv[1]), standalone_mode=False)
except click.ClickException:
    pass  # such as: there is no such worker
names = {name.partition(".")[0] for name in sys.modules}
print(time.process_time(), *sorted(names), file=sys.stderr)
"""
_SERVING = {"fastapi", "starlette", "uvicorn", "numpy"}
_HEAVY = _SERVING | {"httpx", "pydantic", "pydantic_settings", "rich"}
_MOST_CPU_S = 1.0

TOKEN = make_token(exp=4_000_000_000)  # each test process must name the test alike


def loaded(redis_url: str, *arguments: str) -> set[str]:
    command = [sys.executable, "-c", _RUN, json.dumps(arguments)]
    environment = {"LLAMAQ_JWT_SECRET": SECRET, "LLAMAQ_REDIS_URL": redis_url}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    cpu_s, *names = done.stderr.splitlines()[-1].split()
    assert float(cpu_s) < _MOST_CPU_S, "it should be about 0.3 s where nothing else runs"
    return set(names)


@pytest.mark.real
@pytest.mark.parametrize(
    ("arguments", "unneeded"),
    [
        (["--version"], _HEAVY | {"redis", "jwt"}),
        (["--help"], _HEAVY | {"redis", "jwt"}),
        (["token", "create", "ann"], _HEAVY),
        (["token", "inspect", TOKEN], _HEAVY),
        (["token", "list"], _HEAVY),
        (["status"], _HEAVY | {"jwt"}),
        (["drain", "none"], _HEAVY | {"jwt"}),
        (["top"], _HEAVY | {"jwt"}),
        (["completion", "zsh"], _HEAVY | {"jwt", "redis"}),
        (["status", "--help"], _HEAVY | {"jwt"}),
        (["tenant", "list"], _HEAVY | {"jwt"}),
        (["alias", "list"], _HEAVY | {"jwt"}),
        (["usage"], _HEAVY | {"jwt"}),
        (["join", "192.168.1.5"], _HEAVY | {"jwt"}),
        (["drain", "--help"], _HEAVY | {"jwt"}),
        (["resume", "--help"], _HEAVY | {"jwt"}),
        (["cancel", "--help"], _HEAVY | {"jwt"}),
        (["pause", "--help"], _HEAVY | {"jwt", "redis"}),
        (["doctor"], _HEAVY | {"jwt"}),
        (["bridge", "--help"], _SERVING | {"jwt"}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_command_loads_only_what_it_needs(
    real_redis_url: str, arguments: list[str], unneeded: set[str]
) -> None:
    url = "redis://:x@redis" if arguments[0] == "join" else real_redis_url
    found = loaded(url, *arguments)
    assert "click" in found
    assert not found & unneeded


def test_what_serves_needs_no_part_of_the_extra_for_traces() -> None:
    """FastAPI brings the interface. redis-py loads the rest where it is installed."""
    without = "import sys; sys.modules['opentelemetry.sdk'] = None"
    look = f"{without}; import llamaq.api_server, llamaq.bridge_command, worker_bridge.service"
    subprocess.run([sys.executable, "-c", look], capture_output=True, check=True)
