"""Compares llamaq with earlier commits, HAProxy and LiteLLM: in turn, with the same requests.

    scripts/bench --against d26fdb4

All systems use the same stand-in servers, and no two turns share a prompt. CPU time is that of all
processes of a system, Redis included. The table has medians of the runs, their spread, and ratios
to the other systems. Where the machine is too noisy, the table gives no verdict.

`scripts/bench counts` counts the work for a request and for a token. Noise does not change these
counts. With `--write` the tests hold them from then on.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import bench.counts.table
from bench import report
from bench.docs import write_docs
from bench.machine import describe_machine
from bench.scenarios import DEFAULT, SCENARIOS, Scenario
from bench.systems import DIRECT, candidate
from bench.turns import turns

_NO_BASELINE = ("llamaq", DIRECT)


def main() -> None:
    """Runs what is asked for; writes as it goes."""
    options = _options()
    scenarios = [
        scenario.lasting(options.idle_s)
        for scenario in SCENARIOS
        if scenario.name in options.scenarios
    ]
    candidates = {name: candidate(name) for name in _names(options, scenarios)}
    baselines = options.baseline or [name for name in candidates if name not in _NO_BASELINE]
    about = [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {describe_machine()}, {options.runs} runs",
        *(f"{name}: {each.version}" for name, each in candidates.items()),
    ]
    print("\n".join(about), flush=True)
    found = []
    for scenario in scenarios:
        here = [candidates[name] for name in _systems(options, scenario)]
        print(f"\n### {scenario.name}: {scenario.about}\n", flush=True)
        found.append(report.Found(scenario, list(turns(scenario, here, options.runs))))
        print("\n".join(report.table(found[-1], baselines)), flush=True)
    if options.out:
        _write_json(options.out, about, found)
    if options.write_docs:
        write_docs(about, found, baselines)


def _write_json(folder: Path, about: Sequence[str], found: Sequence[report.Found]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    all_ = {"about": about, "scenarios": [report.as_json(each) for each in found]}
    (folder / "bench.json").write_text(json.dumps(all_, indent=1) + "\n")


def _names(options: argparse.Namespace, scenarios: Sequence[Scenario]) -> Sequence[str]:
    """Of all systems that are needed."""
    names = [name for scenario in scenarios for name in _systems(options, scenario)]
    return list(dict.fromkeys(names))


def _systems(options: argparse.Namespace, scenario: Scenario) -> Sequence[str]:
    """The systems of a scenario. LiteLLM starts slowly: few scenarios have it unasked."""
    earlier = [f"llamaq@{commit}" for commit in options.against]
    named = options.systems or ["llamaq", "haproxy", *(["litellm"] if scenario.litellm else [])]
    more = [DIRECT] if scenario.direct else []
    return [*named[:1], *earlier, *named[1:], *more]


def _options() -> argparse.Namespace:
    known = [scenario.name for scenario in SCENARIOS]

    def several(text: str) -> list[str]:
        return [word for word in text.split(",") if word]

    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="scenarios:\n" + "\n".join(f"  {each.name:12}{each.about}" for each in SCENARIOS),
    )
    parser.add_argument(
        "--against", action="append", default=[], metavar="REV", help="an earlier commit too"
    )
    parser.add_argument(
        "--systems", type=several, metavar="A,B", help="llamaq, haproxy, litellm: which of them"
    )
    parser.add_argument(
        "--scenarios", type=several, default=DEFAULT, metavar="A,B", help=",".join(DEFAULT)
    )
    parser.add_argument("--baseline", type=several, metavar="A,B", help="ratios to these: all")
    parser.add_argument("--runs", type=int, default=5, help="turns of each system")
    parser.add_argument("--idle-s", type=float, default=20, help="how long `idle` lasts: 20")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="writes bench.json there")
    parser.add_argument("--write-docs", action="store_true", help="writes docs/benchmarks.md")
    options = parser.parse_args()
    if unknown := set(options.scenarios) - set(known):
        parser.error(
            f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(known)}"
        )
    return options


if __name__ == "__main__":
    bench.counts.table.main(sys.argv[2:]) if sys.argv[1:2] == ["counts"] else main()
