"""What a worker says of itself, as redis-cli shows it."""

from dataclasses import dataclass, fields

from dispatcher.redis_address import Arg

LEFT = "left"
"""The health of a worker that has said that it is gone."""
DRAINING = "draining"
"""And of one that takes no more jobs as its bridge ends."""
UNLOADED, LOADING, FAILED = "unloaded", "loading", "failed"
"""The health of a worker whose bridge could load the model; does so now; has just failed at it."""


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """What a worker says of itself.

    `context` is in tokens per slot, `modalities` are llama-server's words with commas between,
    `endpoints` those of `dispatcher.needs`, `process` tells a restarted server from the one before,
    the speeds are tokens per second in one slot, `breaker` is the state of the circuit breaker,
    `foreign` the slots that others use, and no two workers have a `server_id` in common. `aliases`
    are more names of the model, with blanks between; `host` is the name of the bridge's machine,
    `address` what that has towards Redis, empty where both are on one machine.
    `quantisation` is llama-server's word for that of its weights, which have `size_bytes` and so
    many `parameters`; they were trained on contexts of `trained_context` tokens. 0 is unknown.
    `reason` says in words why its `health` is what it is, where there is more to say.
    `invited` is the name under which an operator has invited its machine. `place` names what comes
    back when its bridge starts again: orders hold there (dispatcher/orders.py). The owner of its
    machine has paused it until `paused_until_s`, Unix time; 0: no. `tokens_per_s` is what all its
    slots together have made in the last seconds.
    """

    model: str
    server: str
    health: str
    context: int
    build: str
    fingerprint: str
    modalities: str = ""
    process: str = ""
    prompt_tps: float = 0
    decode_tps: float = 0
    breaker: str = "closed"
    foreign: int = 0
    server_id: str = ""
    aliases: str = ""
    host: str = ""
    address: str = ""
    endpoints: str = ""
    quantisation: str = ""
    size_bytes: int = 0
    parameters: int = 0
    trained_context: int = 0
    reason: str = ""
    invited: str = ""
    tokens_per_s: float = 0
    place: str = ""
    paused_until_s: int = 0

    @property
    def pairs(self) -> list[Arg]:
        """Fields and values, one after the other."""
        return [item for name in _NAMES for item in (name, getattr(self, name))]


_NAMES = [field.name for field in fields(WorkerFacts)]


@dataclass(frozen=True, slots=True)
class Rival:
    """A worker with the same server whose lease has not run out, and when it was last heard of."""

    worker: str
    renewed_ms: int
    draining: bool
