"""The metrics that a process of bridges tells Prometheus."""

from dispatcher import metrics
from dispatcher.link import Link
from dispatcher.metric import OTHER
from dispatcher.metrics_text import metrics_text
from dispatcher.process_watch import ProcessWatch, build_info
from dispatcher.sheet import Sheet
from worker_bridge.breaker import Mode
from worker_bridge.ends import End
from worker_bridge.lease import Lease
from worker_bridge.server_state import ServerState
from worker_bridge.worker_metrics import WorkerMetrics

_MOST_WORKERS = 200
_PLAIN_NAMES = 2  # of one name and model; more get numbers


class BridgeMetrics:
    """The metrics of this process. `servers`: how many have a worker here, or will have one."""

    def __init__(self) -> None:
        self.servers = 0
        self.workers: dict[tuple[str, str], WorkerMetrics] = {}
        self._watch: ProcessWatch | None = None

    def begin(self, link: Link) -> ProcessWatch:
        """Called when Redis is there. Returns the watch that runs beside the bridges."""
        self._watch = ProcessWatch(link)
        return self._watch

    def worker(self, model: str, name: str) -> WorkerMetrics:
        """The metrics of a worker. Workers of one model and name are numbered."""
        if len(self.workers) >= _MOST_WORKERS:
            model = name = OTHER
        label, number = name, _PLAIN_NAMES
        while (held := self.workers.get((model, label))) is not None and held.state is not None:
            if label == OTHER:
                return held
            label, number = f"{name}-{number}", number + 1
        return self.workers.setdefault((model, label), WorkerMetrics())

    async def text(self, accept: str = "") -> tuple[bytes, str]:
        """What Prometheus gets, and its content type."""
        sheet = build_info()
        serving = sum(worker.state is not None for worker in self.workers.values())
        sheet.add(metrics.WAITING_SERVERS, max(0, self.servers - serving))
        if self._watch is not None:
            sheet.take(self._watch.sheet())
        for at, worker in self.workers.items():
            _add_counts(sheet, worker, *at)
            if worker.state is not None and worker.lease is not None:
                _add_state(sheet, worker.state, *at)
                _add_lease(sheet, worker.lease, *at)
        return metrics_text(sheet, accept)


def _add_counts(sheet: Sheet, worker: WorkerMetrics, *at: str) -> None:
    for end in End:
        sheet.add(metrics.ATTEMPTS, worker.ended(end), *at, end.name.lower())
    sheet.put(metrics.ATTEMPT_DURATION, worker.durations, *at)
    sheet.add(metrics.WORKER_PROMPT_TOKENS, worker.prompt, *at)
    sheet.add(metrics.WORKER_CACHED_TOKENS, worker.cached, *at)
    sheet.add(metrics.WORKER_COMPLETION_TOKENS, worker.completion, *at)
    sheet.add(metrics.BREAKER_OPENINGS, worker.openings, *at)
    sheet.add(metrics.LOST_LEASES, worker.lost_leases, *at)


def _add_state(sheet: Sheet, state: ServerState, *at: str) -> None:
    prompt_tps, completion_tps = state.speed.of(state.props.process)
    sheet.add(metrics.WORKER_ACCEPTING, state.accepting, *at)
    sheet.add(metrics.WORKER_HEALTH, 1, *at, _condition(state))
    for mode in Mode:
        sheet.add(metrics.WORKER_BREAKER, mode is state.breaker.mode, *at, mode.value)
    sheet.add(metrics.WORKER_SLOTS, state.slots, *at)
    sheet.add(metrics.WORKER_BUSY_SLOTS, state.held, *at)
    sheet.add(metrics.WORKER_FOREIGN_SLOTS, state.others, *at)
    sheet.add(metrics.WORKER_PROMPT_SPEED, prompt_tps, *at)
    sheet.add(metrics.WORKER_COMPLETION_SPEED, completion_tps, *at)
    sheet.add(metrics.BREAKER_OPENINGS, state.breaker.openings, *at)


def _condition(state: ServerState) -> str:
    """As `WorkerState.condition` has it."""
    if state.drained and not state.draining:
        return "drained"
    is_paused = state.paused_until_s and not state.draining
    return "paused" if is_paused else state.shown_health


def _add_lease(sheet: Sheet, lease: Lease, *at: str) -> None:
    sheet.add(metrics.LEASE_AGE, lease.age_s, *at)
    sheet.add(metrics.LOST_LEASES, lease.lost, *at)
