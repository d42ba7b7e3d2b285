"""Changes the primary of a Redis behind Sentinels again and again, under load.

python -m tests.failover --failovers 10
python -m tests.failover --tls /usr/bin/redis-server    # a server that is built with TLS
python -m tests.failover --partition    # the network is parted; root, nftables
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from testing import root_certificates
from testing.waiting import wait_until
from tests.chaos.clients import MANNERS, Asked, End
from tests.failover.fleet import Trial
from tests.failover.partition import missing
from tests.failover.servers import Servers

_EACH = 4  # requests that run or wait when the primary changes
_LAST = 2  # that have come just now
_MORE = 3  # that come while none serves
_PARTED_S = 5.0  # a primary without replicas refuses writes after three seconds
_PAUSE_S = 7.0  # a Sentinel begins no failover so soon after another one


async def _kill(trial: Trial, old: int) -> None:
    """The last writes are lost with it, and so are the requests of the last moment."""
    with trial.redis.replicas_behind():
        trial.ask(*MANNERS[:_LAST])
        await asyncio.sleep(0.5)
        trial.redis.kill(old)
        trial.ask(*MANNERS[:_MORE])
        await asyncio.to_thread(trial.redis.until_other_primary, old)
    trial.redis.start(old)


async def _hand_over(trial: Trial, old: int) -> None:
    trial.ask(*MANNERS[:_LAST])
    await asyncio.to_thread(trial.redis.fail_over)
    trial.ask(*MANNERS[:_MORE])
    await asyncio.to_thread(trial.redis.until_other_primary, old, by_order=True)


async def _part(trial: Trial, old: int) -> None:
    """llamaq stays with the old primary, which soon takes no writes. Then the network is whole."""
    with trial.redis.parted(old) as have_switched:
        trial.ask(*MANNERS[:_LAST])
        await asyncio.to_thread(wait_until, have_switched, 60, 0.1)
        trial.ask(*MANNERS[:_MORE])
        await asyncio.sleep(_PARTED_S)
    await asyncio.to_thread(trial.redis.until_other_primary, old)


def _was_accepted(asked: Asked) -> bool:
    """Whether a request that has failed had been taken."""
    refused = asked.status == 503 and asked.code == "redis_unavailable"
    return asked.end is End.ERROR and not refused


async def run(folder: Path, options: argparse.Namespace) -> list[str]:
    """Everything that was wrong."""
    chance = Random(options.seed)  # noqa: S311
    changes = [_part] if options.partition else [_kill, _hand_over]
    redis = Servers(folder, tls=options.tls, spread=options.partition)
    async with Trial(folder, workers=2, redis=redis).running() as trial:
        for number in range(options.failovers):
            await asyncio.to_thread(trial.redis.until_they_know_each_other)
            before, old, began = trial.queued_again(), trial.redis.primary(), time.monotonic()
            trial.ask(*chance.choices(MANNERS, k=_EACH))
            await asyncio.sleep(chance.uniform(0.2, 2))
            change = changes[number % len(changes)]
            await change(trial, old)
            answers = await trial.answers()
            ends = [f"{asked.end} {asked.code}".strip() for asked in answers]
            said = ", ".join(f"{ends.count(end)} {end}" for end in sorted(set(ends)))
            again = len(trial.queued_again() - before)
            name = change.__name__.strip("_")
            took = time.monotonic() - began
            print(f"{number + 1} {name}: {said}; {again} queued again; {took:.1f} s", flush=True)
            broken = [asked for asked in answers if _was_accepted(asked)]
            trial.ledger.wrong += [f"accepted, and failed: {asked}" for asked in broken]
            await asyncio.sleep(max(0, _PAUSE_S - took))
        return [*trial.wrong(), *await trial.left_behind()]


def main() -> int:
    root_certificates.read_once()
    parser = argparse.ArgumentParser(prog="python -m tests.failover", description=__doc__)
    parser.add_argument("--failovers", type=int, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--tls", type=Path, metavar="PROGRAM", help="speak TLS, by this server")
    parser.add_argument("--partition", action="store_true", help="part the network")
    options = parser.parse_args()
    if options.partition and (lack := missing() or (options.tls and "not with --tls")):
        parser.error(f"--partition: {lack}")
    if options.tls and not options.tls.exists():
        parser.error(f"--tls: there is no {options.tls}; Debian has one in redis-server")
    folder = Path(tempfile.mkdtemp(prefix="llamaq-failover-"))
    print(f"seed {options.seed}, logs in {folder}", flush=True)
    wrong = asyncio.run(run(folder, options))
    for line in wrong:
        print("WRONG", line)
    print(f"{len(wrong)} things are wrong" if wrong else "all is well")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
