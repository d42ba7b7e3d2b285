"""Runs a scenario: all systems in turn, with the same requests and the same servers."""

import gc
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.answers import Verdict, read_answer
from bench.cpu_time import busy_s, cpu_s, cpu_s_by_part, pss_bytes
from bench.figures import Measured
from bench.load_generator import Exchange, run
from bench.noise import calibrate
from bench.scenarios import Scenario
from bench.servers import started
from bench.systems import Candidate, System

_WARM_UP = 40
_SETTLE_S = 0.5  # by then the work after a load is over
_TRAILING_S = 0.1  # in which a system does what it does after its last answer
_BENCH = psutil.Process()
_now_s = time.monotonic


@dataclass(frozen=True, slots=True)
class Turn:
    """One load on one system, and what the machine was like before and after it.

    `others` are the cores that other programs took meanwhile.
    """

    run: int
    system: str
    calibration_ms: float
    others: float
    measured: Measured


def turns(scenario: Scenario, candidates: Sequence[Candidate], runs: int) -> Iterator[Turn]:
    """Each run has a turn of each system; the one that begins changes from run to run."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="llamaq-bench-")))
        servers = stack.enter_context(started(scenario.servers, folder))
        systems = []
        for candidate in candidates:
            home = folder / candidate.name
            home.mkdir()
            systems.append(stack.enter_context(candidate.open(servers, home)))
        for system in systems if scenario.requests else ():
            warm_up = scenario.make(0, system.token, min(_WARM_UP, scenario.requests))
            _check(system, run(scenario.load(system.port, warm_up)))
        for number in range(runs):
            first = number % len(systems)
            for system in (*systems[first:], *systems[:first]):
                yield _turn(scenario, system, number + 1)


def _check(system: System, exchanges: Sequence[Exchange]) -> None:
    found = [read_answer(exchange) for exchange in exchanges]
    if not any(answer.verdict is Verdict.WHOLE for answer in found):
        raise SystemExit(f"{system.name} answers nothing: {found[0].why or found[0].verdict}")


def _turn(scenario: Scenario, system: System, number: int) -> Turn:
    requests = scenario.make(number, system.token)
    time.sleep(_SETTLE_S)
    before_ms = calibrate()
    gc.collect()
    gc.disable()  # of the load generator, which keeps what comes
    all_s, bench_s, own_s = busy_s(), cpu_s([_BENCH]), cpu_s_by_part(system.processes)
    began = _now_s()
    if scenario.idle_s:
        time.sleep(scenario.idle_s)
    exchanges = run(scenario.load(system.port, requests)) if requests else []
    time.sleep(_TRAILING_S)
    parts_s, all_wall_s = cpu_s_by_part(system.processes) - own_s, _now_s() - began
    others_s = busy_s() - all_s - (cpu_s([_BENCH]) - bench_s)
    gc.enable()
    calibration_ms = (before_ms + calibrate()) / 2
    wall_s = _wall_s(exchanges) or all_wall_s
    found = [read_answer(exchange) for exchange in exchanges]
    memory_bytes = pss_bytes(system.processes)
    measured = Measured(found, parts_s.total(), wall_s, memory_bytes, parts_s)
    return Turn(number, system.name, calibration_ms, max(0, others_s / all_wall_s), measured)


def _wall_s(exchanges: Sequence[Exchange]) -> float:
    """From the first request to the end of the last answer."""
    if not exchanges:
        return 0
    return max(each.ended_s for each in exchanges) - min(each.sent_s for each in exchanges)
