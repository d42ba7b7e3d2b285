"""What `llamaq top` shows at a time: lines, each with how it looks. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from dispatcher.open_jobs import OpenJob
from dispatcher.overview import ModelOverview, Overview, since_s
from dispatcher.row import printable
from dispatcher.worker_state import WorkerState
from llamaq.ago import ago, lasting
from llamaq.worker_line import place_of, state_of

_MOST_JOBS, _MOST_WAITING, _MOST_GONE = 20, 8, 5
_BAR = 10
_GOOD, _WARN, _BAD, _DIM, _HEAD = "green", "yellow", "bold red", "dim", "bold"
_STYLES = {"healthy": _GOOD, "drained": _WARN, "paused": _WARN, "draining": _WARN}
_STYLES |= {"loading": _WARN, "unloaded": _DIM, "asleep": _DIM}


class Line(NamedTuple):
    """One line, and how it looks, in rich's words."""

    text: str
    style: str = ""


def frame_lines(overview: Overview, here: str, trouble: str = "") -> list[Line]:
    """All lines, for people on the machine `here`. `trouble` is why nothing newer is known."""
    lines = [_title(overview)]
    if trouble:
        lines.append(Line(trouble, _BAD))
    if not overview.models:
        lines.append(Line("No worker has joined yet: llamaq bridge --server URL"))
    for model in overview.models:
        lines += [Line(""), *_of_model(model, overview.now_s, here)]
    return lines


def fitted(lines: Sequence[Line], width: int, height: int) -> list[Line]:
    """As many lines as there is room for, and as much of each.

    >>> [line.text for line in fitted([Line("abcdef"), Line("b"), Line("c")], 4, 2)]
    ['abc…', '… 2…']
    """
    shown = list(lines[:height])
    if len(lines) > height > 1:
        shown = [*lines[: height - 1], Line(f"… {len(lines) - height + 1} more lines", _DIM)]
    return [Line(_cut(line.text, width), line.style) for line in shown]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def _title(overview: Overview) -> Line:
    states = [model.state for model in overview.models]
    workers = [worker for state in states for worker in state.workers]
    busy, slots = _busy_of(workers)
    pace = sum(worker.tokens_per_s for worker in workers)
    queued = sum(state.queued for state in states)
    return Line(f"llamaq  {busy}/{slots} slots  {queued} queued  {pace:.0f} tokens/s", _HEAD)


def _of_model(model: ModelOverview, now_s: float, here: str) -> Iterator[Line]:
    state = model.state
    busy, slots = _busy_of(state.workers)
    seen = "" if state.workers else f"  no worker since {lasting(state.seen_s)}"
    name = printable(state.title)
    yield Line(
        f"{name}  {busy}/{slots} slots  {state.queued} queued{seen}",
        _HEAD if state.workers else _BAD,
    )
    yield from _of_workers(state.workers, here)
    for one in model.waiting[:_MOST_WAITING]:
        since = "" if one.oldest_s is None else f", the oldest for {lasting(one.oldest_s)}"
        yield Line(f"  waits: {one.tenant} ({one.tier}) {one.queued}{since}", _WARN)
    yield from _of_jobs(model.jobs.jobs, now_s)
    for gone in model.gone[:_MOST_GONE]:
        yield Line(f"  gone: {gone.id} {ago(gone.ago_s)}: {gone.why}; its jobs: {gone.jobs}", _DIM)


def _of_workers(workers: Sequence[WorkerState], here: str) -> Iterator[Line]:
    width = max((len(worker.id) for worker in workers), default=0)
    for worker in workers:
        where = place_of(worker.server, worker.host, worker.address, here)
        state = state_of(worker)
        yield Line(
            f"  {worker.id:{width}}  {_bar(worker)}  {worker.running}/{worker.slots}  {state:8}"
            f"  {worker.tokens_per_s:5.0f} tokens/s  {where or worker.host}",
            _STYLES.get(state, _BAD),
        )


def _of_jobs(jobs: Sequence[OpenJob], now_s: float) -> Iterator[Line]:
    """The jobs at workers. Those that wait are shown by tenant."""
    begun = sorted((job for job in jobs if job.state != "queued"), key=lambda job: job.enqueued_ms)
    for job in begun[:_MOST_JOBS]:
        who = f"{job.tenant}/{job.user}" if job.user else job.tenant
        where = f"at {job.worker}" if job.state == "running" else "to go on elsewhere"
        yield Line(f"  {job.id}  {lasting(since_s(job, now_s))}  {who} ({job.tier})  {where}")


def _busy_of(workers: Iterable[WorkerState]) -> tuple[int, int]:
    known = list(workers)
    return sum(worker.running for worker in known), sum(worker.slots for worker in known)


def _bar(worker: WorkerState) -> str:
    full = round(_BAR * min(1.0, worker.running / worker.slots)) if worker.slots else 0
    return "█" * full + "░" * (_BAR - full)
