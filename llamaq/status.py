"""`llamaq status`: the models, their workers, slots and queues."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from dispatcher.connection import open_redis
from dispatcher.needs import COMPLETION
from dispatcher.protocol import PROTOCOL
from dispatcher.redis_check import check_kind
from dispatcher.registry import ModelState, WorkerState, read_models
from dispatcher.turns import Turn, read_turns
from llamaq.redis_sentences import told_to_people

Turns = Mapping[str, Sequence[Turn]]
"""The tenants that wait, by model."""


async def read_status(redis_url: str) -> tuple[list[ModelState], Turns]:
    """The state of every model, and who waits. Raises `RedisUnavailable`.

    Raises `click.ClickException` for a Redis that can't hold a queue.
    """
    redis = open_redis(redis_url)
    try:
        with told_to_people():
            await check_kind(redis)
        models = await read_models(redis)
        return models, {state.model: await read_turns(redis, state.model) for state in models}
    finally:
        await redis.aclose()


def as_json(models: Sequence[ModelState], turns: Turns) -> str:
    """The state for programs."""
    rows = [
        asdict(model)
        | {"aliases": model.aliases, "accepting": model.accepting, "eta_s": model.eta_s}
        | {"waiting": [asdict(turn) for turn in turns[model.model]]}
        for model in models
    ]
    return json.dumps(rows, indent=2, default=sorted)  # sets


def as_text(models: Sequence[ModelState], turns: Turns) -> str:
    """The state for people.

    >>> as_text([], {})
    'No worker has joined yet: start one with `llamaq bridge --server URL`.'
    """
    if not models:
        return "No worker has joined yet: start one with `llamaq bridge --server URL`."
    lines = []
    for model in models:
        lines.append(_model_line(model))
        width = max((len(worker.id) for worker in model.workers), default=0)
        lines += [_worker_line(worker, width) for worker in model.workers]
        if waiting := turns.get(model.model):
            lines.append(f"  waiting: {', '.join(map(_turn, waiting))}")
    return "\n".join(lines)


def _turn(turn: Turn) -> str:
    needs = f": {turn.needs}" if turn.needs else ""
    return f"{turn.tenant} ({turn.tier}{needs}) {turn.queued}"


def _model_line(model: ModelState) -> str:
    busy = sum(worker.running for worker in model.workers)
    slots = sum(worker.slots for worker in model.workers)
    seen = "" if model.workers else f"; last worker seen {model.seen_s:.0f} s ago"
    last = f" (the last starts in about {model.eta_s} s)" if model.eta_s else ""
    return f"{model.title}: {model.queued} queued{last}, {busy} of {slots} slots busy{seen}"


def _worker_line(worker: WorkerState, width: int) -> str:
    speed = f"  {worker.decode_tps:g} tokens/s" if worker.decode_tps else ""
    others = f" ({worker.foreign} more used by others)" if worker.foreign else ""
    special = ", ".join(sorted(worker.endpoints - {COMPLETION}))
    serves = f"  serves {special}" if special else ""
    trusted = worker.health != "healthy" or worker.breaker == "closed"
    state = worker.health if trusted else f"breaker {worker.breaker}"
    if not worker.is_understood:
        state = f"protocol {worker.protocol}, this is {PROTOCOL}: update the older one"
    return (
        f"  {worker.id:{width}}  {state:13}  slots {worker.running}/{worker.slots}{others}"
        f"  context {worker.context}{speed}{serves}  {worker.server}"
    )
