"""Writes the results: the table, and the JSON with every raw value."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median

from bench.answers import Verdict
from bench.figures import Figure
from bench.noise import MOST_SPREAD, Noise, noise
from bench.scenarios import Scenario
from bench.systems import DIRECT
from bench.turns import Turn

TOO_NOISY = "too noisy to judge"


@dataclass(frozen=True, slots=True)
class Found:
    """All turns of a scenario."""

    scenario: Scenario
    turns: Sequence[Turn]

    @property
    def systems(self) -> Sequence[str]:
        """In the order in which they were measured first."""
        return list(dict.fromkeys(turn.system for turn in self.turns))

    @property
    def noise(self) -> Noise:
        """Of the whole scenario."""
        calibrations: dict[str, list[float]] = {}
        for turn in self.turns:
            calibrations.setdefault(turn.system, []).append(turn.calibration_ms)
        return noise(calibrations, [turn.others for turn in self.turns])

    def values(self, system: str, figure: Figure) -> Sequence[float]:
        """One for each run."""
        alone = self.values(DIRECT, replace(figure, added=False)) if figure.added else ()
        of_server = median(alone) if alone else 0
        if alone and system == DIRECT:
            return []
        own = [turn for turn in self.turns if turn.system == system]
        return [figure.of(turn.measured) * self._scale(figure, turn) - of_server for turn in own]

    def _scale(self, figure: Figure, turn: Turn) -> float:
        """On a shared machine the same work costs up to 60 % more in some minutes."""
        if not figure.scaled:
            return 1
        return median(each.calibration_ms for each in self.turns) / turn.calibration_ms

    def ratio(self, system: str, figure: Figure, baseline: str) -> float:
        """Of the medians; 0 where the baseline has nothing."""
        of = median(self.values(baseline, figure) or [0])
        return median(self.values(system, figure)) / of if of else 0

    def verdict(self, system: str, figure: Figure, baseline: str) -> str:
        """Whether the system is better than the baseline, if the runs show that."""
        ours, theirs = self.values(system, figure), self.values(baseline, figure)
        if self._is_hidden(figure, ours, theirs):
            return TOO_NOISY
        if max(ours) < min(theirs) or min(ours) > max(theirs):
            return "better" if (max(ours) < min(theirs)) != figure.more else "worse"
        return "no clear difference"

    def _is_hidden(self, figure: Figure, *values: Sequence[float]) -> bool:
        if figure.scaled:
            return any(max(runs) > MOST_SPREAD * min(runs) for runs in values)
        return self.noise.hides_cpu if figure.is_cpu else self.noise.hides_times

    def parts(self, system: str, figure: Figure) -> Mapping[str, float]:
        """What each part of a system takes of a figure of CPU time; medians."""
        own = [turn for turn in self.turns if turn.system == system]
        names = dict.fromkeys(part for turn in own for part in turn.measured.parts_s)
        return {
            part: median(
                figure.of(turn.measured.of_part(part)) * self._scale(figure, turn) for turn in own
            )
            for part in names
        }

    def wrong(self) -> Iterator[str]:
        """A line for each system with answers that did not come whole."""
        for system in self.systems:
            measured = [turn.measured for turn in self.turns if turn.system == system]
            broken = sum(each.count(Verdict.BROKEN) for each in measured)
            refused = sum(each.count(Verdict.REFUSED) for each in measured)
            if broken or refused:
                total = sum(len(each.answers) for each in measured)
                why = next((a.why for m in measured for a in m.answers if a.why), "")
                yield f"{system}: {broken} broken, {refused} refused of {total}. {why}".strip()


def table(found: Found, baselines: Sequence[str]) -> Iterator[str]:
    """The lines of a Markdown table and its notes."""
    against = [name for name in baselines if name in found.systems]
    heads = [part for name in against for part in (f"/ {name}", "")]
    yield "| " + " | ".join(["figure", "system", "median", "from .. to", *heads]) + " |"
    yield "|" + "---|" * (4 + len(heads))
    for figure in found.scenario.figures:
        for system in found.systems:
            values = found.values(system, figure)
            if not any(values):
                continue
            cells = [figure.title, system, shown(median(values))]
            cells.append(f"{shown(min(values))} .. {shown(max(values))}")
            for name in against:
                ratio = found.ratio(system, figure, name)
                same = name == system or not ratio
                cells += ["", ""] if same else [f"{ratio:.3g}", found.verdict(system, figure, name)]
            yield "| " + " | ".join(cells) + " |"
    yield ""
    yield from _told_parts(found)
    yield f"Noise: {found.noise}."
    yield from found.wrong()


def _told_parts(found: Found) -> Iterator[str]:
    for figure in found.scenario.figures:
        for system in found.systems if figure.scaled else ():
            parts = found.parts(system, figure)
            if len(parts) > 1:
                told = ", ".join(f"{part} {shown(value)}" for part, value in parts.items())
                yield f"{figure.title}, of {system}: {told}.\n"


def shown(value: float) -> str:
    """With three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def as_json(found: Found) -> Mapping[str, object]:
    """Every value of every turn."""
    scenario = found.scenario
    load = {
        name: getattr(scenario, name)
        for name in ("requests", "tokens", "stream", "at_once", "over_s", "idle_s")
    }
    load["servers"] = [asdict(server) for server in scenario.servers]
    return {
        "scenario": scenario.name,
        "about": scenario.about,
        "load": load,
        "noise": {"drift": found.noise.drift, "others": found.noise.others},
        "turns": [_turn(scenario, turn) for turn in found.turns],
    }


def _turn(scenario: Scenario, turn: Turn) -> Mapping[str, object]:
    measured = turn.measured
    return {
        "run": turn.run,
        "system": turn.system,
        "calibration_ms": turn.calibration_ms,
        "others_cores": turn.others,
        "cpu_s": measured.cpu_s,
        "cpu_s_by_part": measured.parts_s,
        "wall_s": measured.wall_s,
        **{str(verdict): measured.count(verdict) for verdict in Verdict},
        "figures": {f.title: f.of(measured) for f in scenario.figures},
        "latencies_ms": [round(answer.ended_s * 1e3, 3) for answer in measured.answers],
        "first_ms": [round(a.arrivals_s[0] * 1e3, 3) for a in measured.answers if a.arrivals_s],
    }
