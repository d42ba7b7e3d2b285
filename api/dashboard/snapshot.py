"""What the page shows of the fleet, as JSON. Pure, but for the reading."""

import asyncio
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from api.json_text import compact
from api.names import with_given
from dispatcher.aliases import read_aliases
from dispatcher.connection import LinkedRedis
from dispatcher.keys import Keys
from dispatcher.model_state import ModelState
from dispatcher.registry import read_registry
from dispatcher.turns import read_turns
from dispatcher.worker_state import WorkerState


async def read_snapshot(redis: LinkedRedis) -> bytes:
    registry = await read_registry(redis)
    states = {state.model: state for state in registry.models}
    models = [*with_given(states, await read_aliases(redis)).values()]
    told = []
    for state in models:
        turns = await read_turns(redis.link, state.model)
        requests = await _requests(redis, state, registry.now_s)
        told.append(_model(state, turns, requests))
    return compact({"version": version("llamaq"), "now_s": registry.now_s, "models": told})


async def _requests(redis: LinkedRedis, state: ModelState, now_s: float) -> list[Any]:
    keys = Keys(state.model)
    ids = await redis.link.call("ZRANGE", keys.named("deadlines"), 0, 99)
    fields = "state", "tenant", "tier", "worker", "enqueued_ms"
    rows = await asyncio.gather(
        *(redis.link.call("HMGET", keys.named("job", i.decode()), *fields) for i in ids)
    )
    out = []
    for i, row in zip(ids, rows, strict=True):
        st, tenant, tier, worker, since = ((v or b"").decode() for v in row)
        out.append(
            {
                "id": i.decode(),
                "state": st,
                "tenant": tenant,
                "tier": tier,
                "worker": worker,
                "since_s": now_s - float(since or 0) / 1000 if since else 0,
                "resumed": False,
            }
        )
    return out


def _model(state: ModelState, turns: Any, requests: Any) -> Any:
    return {
        "model": state.model,
        "aliases": list(state.aliases),
        "is_default": state.is_default,
        "status": state.status,
        "queued": state.queued,
        "eta_s": state.eta_s,
        "oldest_s": 0,
        "makes_text": any(w.makes_text for w in state.workers),
        "workers": [_worker(w) for w in state.workers],
        "waiting": [asdict(t) | {"oldest_s": None} for t in turns],
        "requests": requests,
        "requests_left_out": 0,
        "gone": [],
    }


def _worker(w: WorkerState) -> Any:
    return {
        "id": w.id,
        "server": w.server,
        "host": w.host,
        "health": w.health,
        "reason": w.reason,
        "condition": getattr(w, "condition", w.health),
        "drained_s": getattr(w, "drained_s", 0),
        "paused_until_s": getattr(w, "paused_until_s", 0),
        "is_standby": w.is_standby,
        "is_understood": w.is_understood,
        "breaker": w.breaker,
        "accepting": w.accepting,
        "slots": w.slots,
        "running": w.running,
        "foreign": w.foreign,
        "context": w.context,
        "quantisation": w.quantisation,
        "size_bytes": w.size_bytes,
        "build": w.build,
        "invited": w.invited,
        "tokens_per_s": w.tokens_per_s,
    }
