"""The command line's options, and what they say."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from bench.simulate.arrivals import KINDS as ARRIVALS
from bench.simulate.arrivals import read_arrivals
from bench.simulate.policies import POLICIES, USUAL
from bench.simulate.policies.adapter import Times
from bench.simulate.presets import PRESETS
from bench.simulate.simulation import Failures, Fleet
from bench.simulate.sizes import KINDS as SIZES
from bench.simulate.sizes import read_sizes
from bench.simulate.trace import COLUMNS, read_trace
from bench.simulate.words import TenantClass, WorkerClass
from bench.simulate.workload import Demand, Generated, Workload
from dispatcher.tier import Tier


@dataclass(frozen=True, slots=True)
class Settings:
    """All that is simulated."""

    fleet: Fleet
    demand: Demand
    jobs: int
    trace: Path | None

    def workload(self, seed: int) -> Workload:
        """What follows from a seed; a trace always says the same."""
        if self.trace:
            return read_trace(self.trace)
        return Generated(self.demand, self.fleet.kinds, self.jobs, seed)


def read_worker(text: str) -> WorkerClass:
    """NAME=COUNTxSLOTS:PROMPT_TPS:DECODE_TPS.

    >>> read_worker("fast=2x4:4000:100").slots
    4
    """
    found = re.fullmatch(r"([\w-]+)=(\d+)x(\d+):([\d.]+):([\d.]+)", text)
    if not found:
        raise ValueError(f"{text!r} is not NAME=COUNTxSLOTS:PROMPT_TPS:DECODE_TPS")
    name, count, slots, prompt, decode = found.groups()
    return WorkerClass(name, int(count), int(slots), float(prompt), float(decode))


def read_tenant(text: str) -> TenantClass:
    """NAME=COUNT:PART:TIER:WEIGHT.

    >>> read_tenant("pro=10:2:priority:4").tier.value
    'priority'
    """
    found = re.fullmatch(r"([\w-]+)=(\d+):([\d.]+):(\w+):([\d.]+)", text)
    if not found or found[4] not in list(Tier):
        raise ValueError(f"{text!r} is not NAME=COUNT:PART:TIER:WEIGHT")
    name, count, part, tier, weight = found.groups()
    return TenantClass(name, int(count), float(part), Tier(tier), float(weight))


def read_settings(options: dict[str, Any]) -> Settings:
    """What the command line says."""
    failures = Failures(options["fail_every"], options["repair"], options["notice"])
    times = Times(options["claim_ms"], options["push_ms"], options["misjudged_speeds"])
    return Settings(
        fleet=Fleet(options["workers"], options["cache"], failures, times),
        demand=Demand(
            tenants=options["tenants"],
            arrivals=options["arrivals"],
            prompt=options["prompt"],
            completion=options["completion"],
            turns=options["turns"],
            think_s=options["think"],
            misjudged=options["misjudged_sizes"],
            expected_most=options["expected_most"],
            skew=options["skew"],
        ),
        jobs=options["jobs"],
        trace=options["trace"],
    )


class _Read(click.ParamType):  # type: ignore[type-arg]
    """A value that a function reads and may refuse."""

    def __init__(self, name: str, read: Callable[[str], object]) -> None:
        self.name = name
        self._read = read

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        """Reads text; a value that is read already stays as it is."""
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _use_preset(context: click.Context, parameter: click.Parameter, name: str) -> str:
    context.default_map = dict(PRESETS[name])
    return name


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a function all options, in the order in which help shows them."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


_sizes = _Read("sizes", read_sizes)
_WORKERS = "NAME=COUNTxSLOTS:PROMPT_TPS:DECODE_TPS; speeds are of one slot. Repeatable."
_TENANTS = "NAME=COUNT:PART:TIER:WEIGHT; of all conversations PART are theirs. Repeatable."
_TRACE = f"A CSV or JSONL file instead of arrivals and sizes, with {COLUMNS}."

OPTIONS = (
    click.option(
        *("--preset", "--scale"),
        type=click.Choice(list(PRESETS)),
        default="backlog",
        is_eager=True,
        callback=_use_preset,
        help="Settings to begin with; the other options change them.",
    ),
    click.option("--workers", multiple=True, type=_Read("workers", read_worker), help=_WORKERS),
    click.option(
        "--tenants",
        multiple=True,
        type=_Read("tenants", read_tenant),
        default=("tenant=1:1:default:1",),
        help=_TENANTS,
    ),
    click.option("--arrivals", type=_Read("arrivals", read_arrivals), help=f"{ARRIVALS}."),
    click.option("--jobs", type=click.IntRange(1), help="How many."),
    click.option("--trace", type=click.Path(exists=True, path_type=Path), help=_TRACE),
    click.option("--prompt", type=_sizes, default="10", help=f"Tokens of a message: {SIZES}."),
    click.option("--completion", type=_sizes, default="uniform:20:180", help="Tokens: likewise."),
    click.option("--turns", type=_sizes, default="1", help="Jobs of a conversation: likewise."),
    click.option("--think", type=_sizes, default="0", help="Seconds between them: likewise."),
    click.option(
        "--skew", type=float, default=0, help="The n-th tenant asks 1 / n ** SKEW as often."
    ),
    click.option("--cache", type=int, default=0, help="Tokens in a worker's prompt cache."),
    click.option(
        "--fail-every", type=float, default=0, help="Seconds until a server dies; 0: never."
    ),
    click.option("--repair", type=float, default=60, help="Seconds until it is back."),
    click.option("--notice", type=float, default=1, help="Seconds until that is noticed."),
    click.option("--claim-ms", type=float, default=5, help="What a claim takes."),
    click.option("--push-ms", type=float, default=0.2, help="What a proxy's hand-over takes."),
    click.option(
        "--warm-up",
        type=click.IntRange(min=0),
        default=0,
        help="The first jobs, until speeds are known, are left out of the figures.",
    ),
    click.option("--misjudged-sizes", type=float, default=1, help="The largest factor."),
    click.option(
        "--expected-most", type=int, default=0, help="No completion is expected to be longer."
    ),
    click.option("--misjudged-speeds", type=float, default=0, help="By up to this part."),
    click.option(
        "--policy",
        "policies",
        multiple=True,
        type=click.Choice(list(POLICIES)),
        default=USUAL,
        help="Repeatable.",
    ),
    click.option("--seed", type=int, default=1, help="The first one."),
    click.option("--seeds", type=click.IntRange(1), default=1, help="Runs, taken together."),
    click.option(
        "--by-tenant", type=int, default=5, help="How many of the busiest tenants to show."
    ),
    click.option("--plot", type=click.Path(path_type=Path), help="Writes an SVG file."),
)
