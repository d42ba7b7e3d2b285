"""The hostile tenant, a process of its own.

python -m tests.hostile.attacker ATTACK PORT SECONDS SEED

It prints what it was answered when its time is over, or its attack.
"""

import asyncio
import json
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from testing.processes import Program, program
from tests.hostile.attacks import ROWS, Attacker
from tests.hostile.stage import Stage

_POLITE = 10
"""What it takes of the machine is not what is measured."""
_END_S = 60


@dataclass(frozen=True, slots=True)
class Attack:
    """One that goes on."""

    process: Program

    def is_over(self) -> bool:
        return self.process.process.poll() is not None

    async def answered(self) -> str:
        """What it was answered, once it is over."""
        await asyncio.to_thread(self.process.process.wait, _END_S)
        said = json.loads(self.process.output.splitlines()[-1])
        users = f"{said['users']} end users; " * bool(said["users"])
        return users + ", ".join(f"{what}: {number}" for what, number in said["answered"].items())


@contextmanager
def attacking(on: Stage, name: str, seconds: float, seed: int) -> Iterator[Attack]:
    """Attacks for so long, or less."""
    command = [sys.executable, "-m", "tests.hostile.attacker", name, str(on.port), str(seconds)]
    with program([*command, str(seed)], on.folder / f"attacker-{name}.log") as running:
        yield Attack(running)


async def _attack(name: str, of: Attacker, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await ROWS[name](of)


def main(name: str, port: str, seconds: str, seed: str) -> None:
    """Attacks, and tells of it."""
    os.nice(_POLITE)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    of = Attacker(int(port), int(seed))
    asyncio.run(_attack(name, of, float(seconds)))
    print(json.dumps({"answered": of.answered, "users": of.users}), flush=True)
    os._exit(0)  # thousands of connections need not be closed one by one


if __name__ == "__main__":
    main(*sys.argv[1:])
