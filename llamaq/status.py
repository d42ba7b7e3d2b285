"""`llamaq status`: the models, their workers, slots and queues, as text and for programs."""

import json
import socket
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from api.names import with_given
from dispatcher.connection import LinkedRedis
from dispatcher.invitations import Invitation
from dispatcher.model_state import ModelState
from dispatcher.overview import ModelOverview, Overview, Waiting, read_overview, since_s
from dispatcher.row import printable
from dispatcher.suspects import Suspect
from dispatcher.variants import Variant, variants_of, what_differs
from llamaq.ago import ago, lasting
from llamaq.queue_redis import queue_redis
from llamaq.worker_line import place_of, worker_line

_MOST_WAITING = 10
_NOBODY = "No worker has joined yet: start one with `llamaq bridge --server URL`."


async def read_status(redis_url: str) -> Overview:
    """Reads the state. Raises `RedisUnavailable`.

    Raises `click.ClickException` for a Redis that can't hold a queue.
    """
    async with queue_redis(redis_url) as redis:
        return await read_named(redis)


async def read_named(redis: LinkedRedis) -> Overview:
    """The overview, in which each model has the names that operators give to it."""
    overview = await read_overview(redis)
    states = {model.state.model: model.state for model in overview.models}
    named = with_given(states, overview.aliases)
    models = [replace(each, state=named[each.state.model]) for each in overview.models]
    return replace(overview, models=models)


def as_json(overview: Overview) -> str:
    """The state for programs (docs/command-line.md)."""
    rows = [_row(model, overview.now_s) for model in overview.models]
    return json.dumps(rows, indent=2, default=sorted)  # sets


def _row(model: ModelOverview, now_s: float) -> dict[str, Any]:
    state = model.state
    jobs = [asdict(job) | {"since_s": round(since_s(job, now_s), 1)} for job in model.jobs.jobs]
    gone = [asdict(each) | {"why": each.why, "jobs": each.jobs} for each in model.gone]
    return (
        asdict(state)
        | {"aliases": state.aliases, "accepting": state.accepting, "eta_s": state.eta_s}
        | {"is_default": state.is_default, "variants": _variant_rows(state)}
        | {"waiting": [asdict(each) for each in model.waiting]}
        | {"jobs": jobs, "jobs_left_out": model.jobs.left_out, "gone": gone}
        | {"suspects": [asdict(each) for each in model.suspects]}
    )


def as_text(overview: Overview, here: str | None = None) -> str:
    """The state for people who look at it on this machine, whose name is `here`.

    >>> as_text(Overview(0, [], {}))
    'No worker has joined yet: start one with `llamaq bridge --server URL`.'
    """
    lines = [_ended_line(each) for each in overview.ended]
    lines += [] if overview.models else [_NOBODY]
    for model in overview.models:
        lines += _model_lines(model, here or socket.gethostname())
    return "\n".join(lines)


def _model_lines(model: ModelOverview, here: str) -> list[str]:
    state, lines = model.state, [_model_line(model.state)]
    width = max((len(worker.id) for worker in state.workers), default=0)
    for worker in state.workers:
        lines.append(f"  {worker_line(worker, width, here)}")
        lines += [f"    {worker.reason}"] if worker.reason else []
    lines += _variant_lines(state)
    if model.waiting:
        lines.append(f"  waiting: {', '.join(map(_turn, model.waiting[:_MOST_WAITING]))}")
    if model.suspects:
        names = ", ".join(map(_named, model.suspects))
        lines.append(f"  suspects (servers crashed under them): {names}")
    return lines + gone_lines(model, here)


def gone_lines(model: ModelOverview, here: str) -> list[str]:
    """Those that went away in the last hour."""
    lines = ["  gone in the last hour:"] if model.gone else []
    for each in model.gone:
        where = place_of(each.server, each.host, each.address, here)
        lines.append(f"    {each.id}  {ago(each.ago_s)}  {where}")
        lines.append(f"      {each.why}; its jobs: {each.jobs}")
    return lines


def _ended_line(invitation: Invitation) -> str:
    return (
        f"The machine {invitation.name} is invited no more: {printable(invitation.ended)}. "
        f"Forget it with: llamaq uninvite {invitation.name}"
    )


def _named(suspect: Suspect) -> str:
    return f"{suspect.title} ({suspect.seconds} s more)"


def _variant_lines(model: ModelState) -> list[str]:
    variants = variants_of(model.workers)
    if len(variants) < 2:
        return []
    rows = [f"    {variant.title}: {', '.join(_ids(variant))}" for variant in variants]
    return [f"  {len(variants)} variants: they differ in their {what_differs(variants)}", *rows]


def _variant_rows(model: ModelState) -> list[dict[str, Any]]:
    return [
        {"fingerprint": variant.fingerprint, "workers": _ids(variant)}
        for variant in variants_of(model.workers)
    ]


def _ids(variant: Variant) -> Sequence[str]:
    return [worker.id for worker in variant.workers]


def _turn(one: Waiting) -> str:
    needs = f": {one.needs}" if one.needs else ""
    since = "" if one.oldest_s is None else f" for {lasting(one.oldest_s)}"
    return f"{one.tenant} ({one.tier}{needs}) {one.queued}{since}"


def _model_line(model: ModelState) -> str:
    busy = sum(worker.running for worker in model.workers)
    slots = sum(worker.slots for worker in model.workers)
    seen = "" if model.workers else f"; last worker seen {model.seen_s:.0f} s ago"
    last = f" (the last starts in about {model.eta_s} s)" if model.eta_s else ""
    title = f"{model.title}, the default" if model.is_default else model.title
    return f"{printable(title)}: {model.queued} queued{last}, {busy} of {slots} slots busy{seen}"
