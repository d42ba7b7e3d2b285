"""Does what docs/tutorial.md says, step by step, and compares what shows."""

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path

from testing.waiting import wait_until
from tests.tutorial.machines import Machine, missing_tools, three_machines
from tests.tutorial.page import Step, blocks, steps

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"


class Reader:
    """Types what the page says, and knows what was shown and pasted before."""

    def __init__(self, machines: dict[str, Machine]) -> None:
        self._machines = machines
        self._lines: list[str] = []
        self._goes_on: dict[str, list[Step]] = {name: [] for name in machines}

    def do(self, step: Step) -> None:
        """On each of its machines."""
        for name in step.machines:
            self._do(self._machines[name], step)

    def _do(self, machine: Machine, step: Step) -> None:
        how = step.how
        if how == "installs":
            machine.install(step.block)
        elif how == "goes off":
            machine.goes_off()
        elif how == "comes back":
            for before in self._goes_on[machine.name]:
                machine.start(before.block, before.shown)
        elif how == "keeps what it shows":
            self._lines = [line for line in machine.type(step.block).splitlines() if line]
        elif how.startswith("shows "):
            self._look(machine, step)
        else:
            self._start(machine, step)

    def _look(self, machine: Machine, step: Step) -> None:
        """It may take some seconds until it is so."""
        shown = ""

        def is_shown() -> bool:
            nonlocal shown
            shown = machine.type(step.block)
            return all(re.search(each, shown) for each in step.shown)

        try:
            wait_until(is_shown, 30, 1)
        except AssertionError:
            raise SystemExit(f"{step.block}\nshows no {step.shown}:\n{shown}") from None
        print("\n".join(f"    {line[:140]}" for line in shown.splitlines()))

    def _start(self, machine: Machine, step: Step) -> None:
        block = step.block
        if pasted := re.match(r"pastes line (\d)(?: with (\S+))?, ", step.how):
            block = self._lines[int(pasted[1]) - 1]
            block = block.replace("model.gguf", pasted[2]) if pasted[2] else block
        started = Step(step.machines, step.how, block)
        machine.start(started.block, started.shown)
        self._goes_on[machine.name].append(started)


def main() -> int:
    """The exit code."""
    argparse.ArgumentParser(prog="scripts/try-tutorial", description=__doc__).parse_args()
    if os.geteuid() or missing_tools():
        print("needs root, and:", *missing_tools(), file=sys.stderr)
        return 2
    page, began = PAGE.read_text(), time.monotonic()
    found = list(steps(page))
    untold = set(blocks(page)) - {step.block for step in found}
    assert not untold, f"no comment says where this is typed: {untold}"
    with (
        tempfile.TemporaryDirectory(prefix="llamaq-tutorial-") as work,
        three_machines(Path(work)) as machines,
    ):
        reader = Reader(machines)
        for step in found:
            typed = step.block.partition("\n")[0]
            at = f"{time.monotonic() - began:4.0f}s  {', '.join(step.machines)}"
            print(f"== {at}: {step.how}  {typed}")
            reader.do(step)
    print(f"== {time.monotonic() - began:4.0f}s  all good")
    return 0


if __name__ == "__main__":
    sys.exit(main())
