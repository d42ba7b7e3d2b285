"""The llama-server that a bridge has started, as Linux shows it."""

import re
from pathlib import Path

import httpx

from testing.processes import Program


def server_pid(bridge: Program) -> int:
    """The process that the bridge has started last."""
    return int(re.findall(r"started llama-server pid=(\d+)", bridge.output)[-1])


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def server_url(pid: int) -> str:
    command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return f"http://127.0.0.1:{command[command.index('--port') + 1]}"


def slots_at_work(pid: int) -> int:
    slots = httpx.get(f"{server_url(pid)}/slots", trust_env=False).json()
    return sum(slot["is_processing"] for slot in slots)
