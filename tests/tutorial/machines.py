"""Three machines made of network namespaces on one switch; each has a home folder and a name."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from llamaq.demo_model import write_demo_model
from testing.processes import Program
from testing.waiting import wait_until

TREE = Path(__file__).parents[2]
NAMES = ("desk", "attic", "den")
_SWITCH = "tutorial-switch"
_INDEX = re.compile(r"(PIP|UV|SSL)_\w+")


@dataclass(slots=True)
class Machine:
    """One of them. What it starts ends with it."""

    name: str
    home: Path
    started: list[Program] = field(default_factory=list)

    @property
    def namespace(self) -> str:
        """The name of its network."""
        return f"tutorial-{self.name}"

    def install(self, block: str) -> None:
        """Types it where there is a way to a package index."""
        index = {name: value for name, value in os.environ.items() if _INDEX.fullmatch(name)}
        done = subprocess.run(
            ["sh", "-ec", block], cwd=TREE, env=self._told(index), capture_output=True, text=True
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"

    def type(self, block: str) -> str:
        """What it shows."""
        done = subprocess.run(
            self._command(block), cwd=TREE, env=self._told(), capture_output=True, text=True
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self, block: str, shown: Sequence[str]) -> None:
        """Types what goes on, and waits for what it shows."""
        log = self.home / f"{len(self.started)}.log"
        with log.open("ab") as output:
            # On a terminal: secrets are printed nowhere else.
            typed = ["script", "--quiet", "--return", "--command", _joined(self._command(block))]
            program = subprocess.Popen(
                [*typed, "/dev/null"],
                cwd=TREE, env=self._told(), stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        running = Program(program, log)
        self.started.append(running)
        try:
            wait_until(lambda: all(re.search(each, running.output) for each in shown), 90)
        except AssertionError:
            raise SystemExit(f"{self.name}: {block}\nshows no {shown}:\n{running.output}") from None

    def goes_off(self) -> None:
        """As by pulling its plug: nothing ends in order, and nobody is told."""
        listed = subprocess.run(
            ["ip", "netns", "pids", self.namespace], capture_output=True, text=True, check=False
        )
        for pid in listed.stdout.split():
            subprocess.run(["kill", "-KILL", pid], check=False, capture_output=True)
        for each in self.started:
            each.process.wait(10)
        self.started.clear()

    def _command(self, block: str) -> list[str]:
        named = f"hostname {self.name}; exec sh -ec {_quoted(block)}"
        return [
            "nsenter",
            f"--net=/run/netns/{self.namespace}",
            "unshare",
            "--uts",
            "sh",
            "-c",
            named,
        ]

    def _told(self, more: dict[str, str] | None = None) -> dict[str, str]:
        path = (
            f"{self.home}/.llamaq/bin:{self.home}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        )
        return {"HOME": str(self.home), "PATH": path, "TERM": "dumb", **(more or {})}


@contextmanager
def three_machines(work: Path) -> Iterator[dict[str, Machine]]:
    """They have llama.cpp's server from a Python package, and a generated model."""
    machines = {name: Machine(name, work / name) for name in NAMES}
    _ip("netns", "add", _SWITCH)
    try:
        _ip("-n", _SWITCH, "link", "add", "switch", "type", "bridge")
        _ip("-n", _SWITCH, "link", "set", "switch", "up")
        for number, machine in enumerate(machines.values(), 1):
            _connect(machine, number)
            _furnish(machine)
        yield machines
    finally:
        for machine in machines.values():
            machine.goes_off()
        for name in (_SWITCH, *(machine.namespace for machine in machines.values())):
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def _connect(machine: Machine, number: int) -> None:
    name, cable = machine.namespace, f"tutorial{number}"
    _ip("netns", "add", name)
    _ip("-n", name, "link", "set", "lo", "up")
    _ip(
        "link",
        "add",
        cable,
        "netns",
        _SWITCH,
        "type",
        "veth",
        "peer",
        "name",
        "lan0",
        "netns",
        name,
    )
    _ip("-n", _SWITCH, "link", "set", cable, "master", "switch", "up")
    _ip("-n", name, "address", "add", f"10.79.0.{number}/24", "dev", "lan0")
    _ip("-n", name, "link", "set", "lan0", "up")


def _furnish(machine: Machine) -> None:
    (machine.home / "models").mkdir(parents=True)
    write_demo_model(machine.home / "models" / "story.gguf", size="small")
    server = machine.home / "bin" / "llama-server"
    server.parent.mkdir()
    server.write_text(
        f"#!/bin/sh\nPYTHONPATH={TREE} exec {sys.executable} -m llamaq.demo_server "
        '--ctx-size 8192 "$@"\n'
    )
    server.chmod(0o755)


def missing_tools() -> list[str]:
    """Those that this needs."""
    tools = ("ip", "nsenter", "unshare", "script", "curl")
    return [tool for tool in tools if shutil.which(tool) is None]


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _joined(command: list[str]) -> str:
    return " ".join(map(_quoted, command))
