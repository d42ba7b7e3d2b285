"""What `llamaq doctor` says of versions, workers and llama-servers. Pure."""

from collections.abc import Iterator

from dispatcher.facts import DRAINING, LEFT, UNLOADED
from dispatcher.model_state import ModelState
from dispatcher.variants import variants_of, what_differs
from dispatcher.worker_state import WorkerState
from llamaq.doctor_facts import Facts, OwnServer
from llamaq.finding import Finding, ok, warn, wrong

_AT_REST = frozenset({LEFT, DRAINING, UNLOADED})
_FOR_NOW = frozenset({"starting", "loading", "suspect", "overloaded"})
_ADVICE = {
    "misconfigured": "Give the bridge the address and the key of its llama-server: --server, "
    "LLAMAQ_SERVER_KEY.",
    "incomplete": "Start the ggml-rpc-server of the machine that is gone (docs/rpc.md).",
    "failed": "Look into the log of its bridge: the model's file, or memory.",
    "wedged": "Restart the llama-server: it answers, but generates nothing.",
}
_RESTART = "Start the llama-server again, and look into its log and that of its bridge."


def of_versions(facts: Facts) -> Iterator[Finding]:
    """Do all speak this program's protocol, and do the workers of a model fit together?"""
    workers = [worker for model in facts.queue.models for worker in model.workers]
    strange = [worker for worker in workers if not worker.is_understood]
    for worker in strange:
        yield wrong(
            "versions",
            f"the bridge of {worker.id} speaks protocol {worker.protocol}, this program "
            f"{facts.protocol}",
            "Update the older of the two: README.md, “Install”.",
        )
    for model, protocols in sorted(facts.queue.api_protocols.items()):
        if others := sorted({each for each in protocols if each != facts.protocol}):
            told = ", ".join(map(str, others))
            yield wrong(
                "versions",
                f"an API of {model} speaks protocol {told}, this program {facts.protocol}",
                "Update the older of the two: README.md, “Install”.",
            )
    yield from _of_variants(facts)
    apis = max((len(each) for each in facts.queue.api_protocols.values()), default=0)
    if not strange:
        yield ok(
            "versions",
            f"llamaq {facts.version}, protocol {facts.protocol}: {_number(len(workers), 'worker')} "
            f"and {_number(apis, 'process')} of APIs",
        )


def of_servers(facts: Facts) -> Iterator[Finding]:
    """Is each model served, and is each llama-server fit for work?"""
    if not facts.queue.models:
        yield warn(
            "servers",
            "no worker has joined within a day",
            "Start one beside a llama-server: llamaq bridge --server URL.",
        )
    for model in facts.queue.models:
        yield from _of_model(model)
    for server in facts.own_servers:
        yield from _of_own(server)


def _of_model(model: ModelState) -> Iterator[Finding]:
    if not model.workers:
        waiting = f" and {model.queued} requests wait" if model.queued else ""
        say = wrong if model.queued else warn
        yield say(
            "servers",
            f"nobody serves {model.model}{waiting}: its last worker left {model.seen_s:.0f} s ago",
            "Start its bridge again.",
        )
        return
    well = []
    for worker in model.workers:
        found = list(_of_worker(worker))
        yield from found
        well += [] if found else [worker]
    resting = sum(each.rests or each.health in _AT_REST for each in well)
    counted = ((len(well) - resting, "fit for work"), (resting, "at rest"))
    if told := ", ".join(f"{_number(count, 'worker')} {how}" for count, how in counted if count):
        yield ok("servers", f"{model.model}: {told}")


def _of_worker(worker: WorkerState) -> Iterator[Finding]:
    place = f"{worker.id} ({worker.server or worker.host})"
    why = f": {worker.reason}" if worker.reason else ""
    if worker.drained_s:
        yield warn(
            "servers",
            f"{place} is drained by an operator",
            f"Let it work: llamaq resume {worker.id}.",
        )
    elif worker.health in _AT_REST:
        return
    elif worker.health in _FOR_NOW:
        yield warn("servers", f"{place} is {worker.health}{why}", "Its bridge looks again soon.")
    elif worker.health != "healthy":
        advice = _ADVICE.get(worker.health, _RESTART)
        yield wrong("servers", f"{place} is {worker.health}{why}", advice)
    elif worker.breaker != "closed":
        yield warn(
            "servers",
            f"{place} has failed too often and gets no requests (breaker {worker.breaker})",
            "Look into the log of its llama-server. The bridge tries it again by itself.",
        )


def _of_own(server: OwnServer) -> Iterator[Finding]:
    if not server.listens:
        yield wrong(
            "servers", f"nothing listens at {server.url}, the server of {server.worker}", _RESTART
        )
    elif server.has_parallel is False:
        yield warn(
            "servers",
            f"the llama-server at {server.url} runs without --parallel: its slots share one "
            "context, and one long request can end all",
            "Start it with --parallel 4, say.",
        )


def _of_variants(facts: Facts) -> Iterator[Finding]:
    for model in facts.queue.models:
        variants = variants_of(model.workers)
        if len(variants) > 1:
            yield warn(
                "versions",
                f"the workers of {model.model} differ in their {what_differs(variants)}: a stream "
                "that breaks off goes on only at a worker that is alike",
                "Run the same build and file on each, or give them different names: --model.",
            )


def _number(count: int, word: str) -> str:
    plural = f"{word}es" if word.endswith("s") else f"{word}s"
    return f"{count} {word if count == 1 else plural}"
