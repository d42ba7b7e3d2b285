"""python -m bench.simulate: runs the policies one after the other, and compares them."""

import resource
import sys
import time
from typing import Any

import click

from bench.simulate.metrics import half_begun_ms
from bench.simulate.options import Settings, read_settings, with_options
from bench.simulate.plot import draw
from bench.simulate.policies import POLICIES
from bench.simulate.report import Results, Run, report
from bench.simulate.simulation import Progress, simulate
from bench.simulate.words import Record
from bench.simulate.workload import fleet_per_s

_SHOWN_EVERY_S = 1.0


def run(settings: Settings, policy: str, seed: int, progress: Progress, warm_up: int = 0) -> Run:
    """All jobs of a seed, by one policy; the first `warm_up` to come are not looked at."""
    workload = settings.workload(seed)
    outcome = simulate(settings.fleet, workload, POLICIES[policy], seed, progress)
    late = sorted(outcome.records, key=lambda record: record.arrived_ms)[warm_up:]
    records = sorted(late, key=lambda record: record.finished_ms)
    return Run(records, outcome.lost, _ideal_ms(settings, records), half_begun_ms(records))


def _ideal_ms(settings: Settings, records: list[Record]) -> float:
    """How long the fleet would take if work could be divided at will; cached tokens are none."""
    jobs = len(records)
    prompt = sum(record.prompt_tokens - record.cached_tokens for record in records) / jobs
    completion = sum(record.completion_tokens for record in records) / jobs
    return 1000 * jobs / fleet_per_s(settings.fleet.kinds, prompt, completion)


def _progress(policy: str, seed: int, total: int) -> Progress:
    shown_s = time.monotonic()

    def show(done: int, now_ms: float) -> None:
        nonlocal shown_s
        if time.monotonic() - shown_s >= _SHOWN_EVERY_S:
            shown_s = time.monotonic()
            text = f"{policy}, seed {seed}: {done:,} of {total:,} jobs, at {now_ms / 1000:,.0f} s"
            print(f"\r{text:<78}", end="", file=sys.stderr, flush=True)

    return show


def _plot(results: Results) -> str:
    values = {
        name: [record for run in runs for record in run.records] for name, runs in results.items()
    }
    waits = {name: [r.wait_ms / 1000 for r in records] for name, records in values.items()}
    ends = {name: [r.latency_ms / 1000 for r in records] for name, records in values.items()}
    return draw({"waiting time": waits, "latency": ends})


def _run_all(settings: Settings, options: dict[str, Any]) -> Results:
    seeds = range(options["seed"], options["seed"] + options["seeds"])
    results = {}
    for policy in options["policies"]:
        began_s = time.process_time()
        results[policy] = [
            run(settings, policy, seed, _progress(policy, seed, settings.jobs), options["warm_up"])
            for seed in seeds
        ]
        print(f"\r{policy}: {time.process_time() - began_s:.1f} s of CPU{'':<50}", file=sys.stderr)
    return results


@click.command(context_settings={"show_default": True})
@with_options
def main(**options: Any) -> None:
    """Simulates a fleet of workers: llamaq's policy against what others do.

    SIZES are numbers or distributions; sizes are tokens. Every run follows from its seed.
    """
    settings = read_settings(options)
    results = _run_all(settings, options)
    for line in report(results, settings.fleet.slots, options["by_tenant"]):
        print(line)
    if options["plot"]:
        options["plot"].write_text(_plot(results))
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak_mib:.0f} MiB", file=sys.stderr)


if __name__ == "__main__":
    main()
