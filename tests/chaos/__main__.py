"""Breaks a whole fleet for some minutes, and tells whether any client could see it.

python -m tests.chaos --minutes 10 --seed 7
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from llamaq.demo_model import write_demo_model
from testing import root_certificates
from tests.chaos.clients import Asked, Client, Known, learn
from tests.chaos.faults import Fault, inject, plan
from tests.chaos.fleet import MODEL, Fleet
from tests.chaos.ledger import Ledger
from tests.chaos.memory import Memory
from tests.chaos.usage import UsageLedger
from tests.chaos.verdict import mistakes, settled

PROMPTS = 6
_SETTLE_S = 30.0


class Chaos:
    """One run."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        write_demo_model(folder / f"{MODEL}.gguf")
        self._options = options
        self._fleet = Fleet(folder, folder / f"{MODEL}.gguf", workers=4, apis=2)
        self._ledger = Ledger(self._fleet)
        self._usage = UsageLedger(self._fleet)
        self._memory = Memory(self._fleet)
        self._log = (folder / "chaos.log").open("w")
        self._began = time.monotonic()

    async def run(self) -> list[str]:
        """Everything that was wrong."""
        self.say(f"seed {self._options.seed}, logs in {self._fleet.folder}")
        async with self._fleet.running():
            known = await learn(self._fleet.server_url, PROMPTS)
            self._began = time.monotonic()
            faults = await self._break(known)
            left = await self._settle()
            left += [] if left else await self._usage.wrong()
        self._report(faults)
        return [*self._ledger.wrong, *left, *mistakes(self._fleet.folder)]

    async def _break(self, known: Sequence[Known]) -> list[Fault]:
        options = self._options
        faults = plan(options.seed, self._fleet, options.seconds, options.every, options.spare)
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            measuring = group.create_task(self._memory.run(self.say))
            clients = [
                group.create_task(
                    Client(f"c{number}", options.seed, self._fleet, known, self._done).run(over)
                )
                for number in range(options.clients)
            ]
            await inject(self._fleet, faults, self.say)
            await asyncio.sleep(self._began + options.seconds - time.monotonic())
            over.set()
            await asyncio.wait(clients)
            measuring.cancel()
        return faults

    async def _settle(self) -> list[str]:
        try:
            await self._fleet.until_ready(_SETTLE_S)
        except TimeoutError:
            return ["the fleet does not serve any more"]
        return await settled(self._fleet, _SETTLE_S)

    def _done(self, asked: Asked) -> None:
        wrong = self._ledger.enter(asked)
        self._usage.enter(asked)
        self._write(f"{asked}")
        for fault in wrong:
            self.say(f"WRONG {asked}: {fault}")

    def say(self, line: str) -> None:
        """Prints a line with the time, and logs it."""
        print(self._write(line), flush=True)

    def _write(self, line: str) -> str:
        line = f"{time.monotonic() - self._began:7.2f} {line}"
        self._log.write(line + "\n")
        self._log.flush()
        return line

    def _report(self, faults: list[Fault]) -> None:
        kinds = Counter(fault.kind for fault in faults)
        self.say(f"{len(faults)} faults: " + ", ".join(f"{k} {n}" for k, n in kinds.items()))
        ends = ", ".join(f"{end} {n}" for end, n in self._ledger.ends.most_common())
        self.say(f"{self._ledger.total} requests: {ends}")
        self.say(f"usage is known exactly of {self._usage.exact()} requests")
        for line in self._memory.report():
            self.say(line)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--every", type=float, default=4, help="seconds between faults")
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--spare", nargs="*", default=(), help="redis, api1, … are never ended")
    parser.add_argument("--folder", type=Path, help="for the logs; must not exist")
    options = parser.parse_args()
    options.seconds = options.minutes * 60
    return options


def main() -> int:
    root_certificates.read_once()
    options = _options()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="llamaq-chaos-")) / "run"
    folder.mkdir(parents=True)  # a new one: the usage of another run would count
    wrong = asyncio.run(Chaos(options, folder).run())
    for line in wrong:
        print("WRONG", line)
    print(f"seed {options.seed}: " + (f"{len(wrong)} things are wrong" if wrong else "all is well"))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
