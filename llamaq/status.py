"""`llamaq status`: the models, their workers, slots and queues."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from dispatcher.connection import open_redis
from dispatcher.registry import ModelState, read_models


async def read_status(redis_url: str) -> list[ModelState]:
    """The state of every model. Raises `RedisUnavailable`."""
    redis = open_redis(redis_url)
    try:
        return await read_models(redis)
    finally:
        await redis.aclose()


def as_json(models: Sequence[ModelState]) -> str:
    """The state for programs."""
    return json.dumps(
        [asdict(model) | {"accepting": model.accepting} for model in models], indent=2
    )


def as_text(models: Sequence[ModelState]) -> str:
    """The state for people.

    >>> as_text([])
    'No worker has joined yet: start one with `llamaq bridge --server URL`.'
    """
    if not models:
        return "No worker has joined yet: start one with `llamaq bridge --server URL`."
    lines = []
    for model in models:
        lines.append(_model_line(model))
        width = max((len(worker.id) for worker in model.workers), default=0)
        lines += [
            f"  {worker.id:{width}}  {worker.health:13}  slots {worker.running}/{worker.slots}"
            f"  context {worker.context}  {worker.server}"
            for worker in model.workers
        ]
    return "\n".join(lines)


def _model_line(model: ModelState) -> str:
    busy = sum(worker.running for worker in model.workers)
    slots = sum(worker.slots for worker in model.workers)
    seen = "" if model.workers else f"; last worker seen {model.seen_s:.0f} s ago"
    return f"{model.model}: {model.queued} queued, {busy} of {slots} slots busy{seen}"
