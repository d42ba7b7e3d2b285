"""A command loads only what it needs: FastAPI alone takes half a second."""

import json
import subprocess
import sys

import pytest

from tests.builders import SECRET

_RUN = """
import json, sys
from llamaq.__main__ import main
main(json.loads(sys.argv[1]), standalone_mode=False)
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""
_SERVING = {"fastapi", "starlette", "uvicorn", "numpy"}


def loaded(*arguments: str) -> set[str]:
    command = [sys.executable, "-c", _RUN, json.dumps(arguments)]
    environment = {"LLAMAQ_JWT_SECRET": SECRET, "LLAMAQ_REDIS_URL": "redis://:x@redis"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "unneeded"),
    [
        (["--version"], _SERVING | {"redis", "httpx", "pydantic", "jwt"}),
        (["token", "create", "ann"], _SERVING | {"httpx"}),
        (["status", "--help"], _SERVING | {"httpx", "jwt"}),
        (["join", "192.168.1.5"], _SERVING | {"httpx", "jwt"}),
        (["bridge", "--help"], _SERVING | {"jwt"}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_command_loads_only_what_it_needs(arguments: list[str], unneeded: set[str]) -> None:
    assert not loaded(*arguments) & unneeded
