"""`llamaq status`: the models, their workers, slots and queues."""

import json
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from typing import Any

from api.names import with_given
from dispatcher.aliases import read_aliases
from dispatcher.connection import open_redis
from dispatcher.invitations import Invitation
from dispatcher.model_state import ModelState
from dispatcher.needs import COMPLETION
from dispatcher.protocol import PROTOCOL
from dispatcher.redis_check import check_kind
from dispatcher.registry import read_registry
from dispatcher.suspects import Suspect, read_suspects
from dispatcher.turns import Turn, read_turns
from dispatcher.variants import Variant, variants_of, what_differs
from dispatcher.worker_state import WorkerState
from llamaq.redis_sentences import told_to_people

Turns = Mapping[str, Sequence[Turn]]
"""The tenants that wait, by model."""
Suspects = Mapping[str, Sequence[Suspect]]
"""Who is under suspicion, by model."""


@dataclass(frozen=True, slots=True)
class Status:
    """Every model, who waits, who is under suspicion, and what invitations an API has ended."""

    models: Sequence[ModelState]
    turns: Turns = field(default_factory=dict)
    suspects: Suspects = field(default_factory=dict)
    ended: Sequence[Invitation] = ()


async def read_status(redis_url: str) -> Status:
    """Reads it. Raises `RedisUnavailable`.

    Raises `click.ClickException` for a Redis that can't hold a queue.
    """
    async with aclosing(open_redis(redis_url)) as redis:
        with told_to_people():
            await check_kind(redis)
        registry = await read_registry(redis)
        states = {state.model: state for state in registry.models}
        models = [*with_given(states, await read_aliases(redis)).values()]
        turns, suspects = {}, {}
        for state in models:
            link = redis.apart(state.model) if state.invited else redis.link
            turns[state.model] = await read_turns(link, state.model)
            suspects[state.model] = await read_suspects(link, state.model)
        ended = [each for _, each in sorted(registry.invitations.items()) if each.ended]
        return Status(models, turns, suspects, ended)


def as_json(status: Status) -> str:
    """The state for programs."""
    rows = [
        asdict(model)
        | {"aliases": model.aliases, "accepting": model.accepting, "eta_s": model.eta_s}
        | {"is_default": model.is_default, "variants": _variant_rows(model)}
        | {"waiting": [asdict(turn) for turn in status.turns[model.model]]}
        | {"suspects": [asdict(each) for each in status.suspects.get(model.model, ())]}
        for model in status.models
    ]
    return json.dumps(rows, indent=2, default=sorted)  # sets


def as_text(status: Status) -> str:
    """The state for people.

    >>> as_text(Status([]))
    'No worker has joined yet: start one with `llamaq bridge --server URL`.'
    """
    lines = [_ended_line(each) for each in status.ended]
    if not status.models:
        lines.append("No worker has joined yet: start one with `llamaq bridge --server URL`.")
    for model in status.models:
        lines.append(_model_line(model))
        width = max((len(worker.id) for worker in model.workers), default=0)
        for worker in model.workers:
            lines.append(_worker_line(worker, width))
            lines += [f"    {worker.reason}"] if worker.reason else []
        lines += _variant_lines(model)
        if waiting := status.turns.get(model.model):
            lines.append(f"  waiting: {', '.join(map(_turn, waiting))}")
        if named := status.suspects.get(model.model):
            lines.append(
                f"  suspects (servers crashed under them): {', '.join(map(_named, named))}"
            )
    return "\n".join(lines)


def _ended_line(invitation: Invitation) -> str:
    return (
        f"The machine {invitation.name} is invited no more: {invitation.ended}. "
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


def _ids(variant: Variant) -> list[str]:
    return [worker.id for worker in variant.workers]


def _turn(turn: Turn) -> str:
    needs = f": {turn.needs}" if turn.needs else ""
    return f"{turn.tenant} ({turn.tier}{needs}) {turn.queued}"


def _model_line(model: ModelState) -> str:
    busy = sum(worker.running for worker in model.workers)
    slots = sum(worker.slots for worker in model.workers)
    seen = "" if model.workers else f"; last worker seen {model.seen_s:.0f} s ago"
    last = f" (the last starts in about {model.eta_s} s)" if model.eta_s else ""
    title = f"{model.title}, the default" if model.is_default else model.title
    return f"{title}: {model.queued} queued{last}, {busy} of {slots} slots busy{seen}"


def _worker_line(worker: WorkerState, width: int) -> str:
    if worker.is_standby and worker.is_understood:
        could = "could not load" if worker.has_failed else "could load"
        return f"  {worker.id:{width}}  {worker.health:13}  {could} it on {worker.host}"
    speed = f"  {worker.decode_tps:g} tokens/s" if worker.decode_tps else ""
    others = f" ({worker.foreign} more used by others)" if worker.foreign else ""
    special = ", ".join(sorted(worker.endpoints - {COMPLETION}))
    serves = f"  serves {special}" if special else ""
    trusted = worker.health != "healthy" or worker.breaker == "closed"
    state = worker.condition if trusted or worker.rests else f"breaker {worker.breaker}"
    if not worker.is_understood:
        state = f"protocol {worker.protocol}, this is {PROTOCOL}: update the older one"
    invited = f"  invited as {worker.invited}" if worker.invited else ""
    return (
        f"  {worker.id:{width}}  {state:13}  slots {worker.running}/{worker.slots}{others}"
        f"  context {worker.context}{speed}{serves}{invited}  {worker.server}"
    )
