"""Compares llamaq with earlier commits, HAProxy and LiteLLM, by turns and on the same requests.

    scripts/bench --against d26fdb4

All systems stand in front of the same stand-in servers, and each turn has prompts that no other
turn has. CPU time is that of all processes of a system, Redis included. The table has medians of
the runs, their spread, and ratios to the other systems. Where the machine is too noisy, it has the
figures and no judgement.

`scripts/bench counts` counts what a request and a token take, which no noise can move; with
`--write` tests hold these numbers from then on.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import bench.counts.table
from bench import report
from bench.machine import describe_machine
from bench.scenarios import DEFAULT, SCENARIOS, Scenario
from bench.systems import Candidate, candidate
from bench.turns import turns


def main() -> None:
    """Runs what is asked for; writes as it goes."""
    options = _options()
    scenarios = [scenario for scenario in SCENARIOS if scenario.name in options.scenarios]
    candidates = {name: candidate(name) for name in _names(options, scenarios)}
    machine, found = describe_machine(), []
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine}, {options.runs} runs", flush=True)
    for name, each in candidates.items():
        print(f"{name}: {each.version}", flush=True)
    for scenario in scenarios:
        here = [candidates[name] for name in _systems(options, scenario)]
        print(f"\n### {scenario.name}: {scenario.about}\n", flush=True)
        found.append(report.Found(scenario, list(turns(scenario, here, options.runs))))
        print("\n".join(report.table(found[-1], _baselines(options, here))), flush=True)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        about = {
            "machine": machine,
            "systems": {name: each.version for name, each in candidates.items()},
            "runs": options.runs,
            "scenarios": [report.as_json(each) for each in found],
        }
        (options.out / "bench.json").write_text(json.dumps(about, indent=1) + "\n")


def _names(options: argparse.Namespace, scenarios: Sequence[Scenario]) -> Sequence[str]:
    """Of all systems that are needed."""
    names = [name for scenario in scenarios for name in _systems(options, scenario)]
    return list(dict.fromkeys(names))


def _systems(options: argparse.Namespace, scenario: Scenario) -> Sequence[str]:
    """Those of a scenario: LiteLLM is slow to start, so it is in few unless it is named."""
    earlier = [f"llamaq@{commit}" for commit in options.against]
    named = options.systems or ["llamaq", "haproxy", *(["litellm"] if scenario.litellm else [])]
    more = ["direct"] if scenario.direct else []
    return [*named[:1], *earlier, *named[1:], *more]


def _baselines(options: argparse.Namespace, here: Sequence[Candidate]) -> Sequence[str]:
    return options.baseline or [each.name for each in here if each.name not in ("llamaq", "direct")]


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
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="writes bench.json there")
    options = parser.parse_args()
    if unknown := set(options.scenarios) - set(known):
        parser.error(
            f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(known)}"
        )
    return options


if __name__ == "__main__":
    bench.counts.table.main(sys.argv[2:]) if sys.argv[1:2] == ["counts"] else main()
