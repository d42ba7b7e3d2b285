"""What a worker says of itself, as redis-cli shows it."""

from dataclasses import dataclass, fields

from dispatcher.redis_address import Arg

LEFT = "left"
"""The health of a worker that has said that it is gone."""
DRAINING = "draining"
"""The health of one that takes no more jobs, since its bridge ends."""
UNLOADED, LOADING, FAILED = "unloaded", "loading", "failed"
"""The health of a worker whose bridge could load the model, loads it now, or just failed to."""


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """What a worker says of itself. 0 is unknown.

    `context` is in tokens per slot. `modalities` are llama-server's words with commas between,
    `endpoints` those of `dispatcher.needs`. `process` tells a restarted server from the one before.
    Speeds are in tokens per second of one slot. `breaker` is the state of the circuit breaker.
    Others use `foreign` slots. No two workers have the same `server_id`.

    `aliases` are more names of the model, with blanks between. `host` is the name of the bridge's
    machine, `address` what that has towards Redis, empty where both are on one machine.
    `quantisation` is llama-server's word for the weights. These have `size_bytes` and `parameters`,
    and were trained on contexts of `trained_context` tokens.

    `reason` says why its `health` is what it is, where there is more to say. An operator has
    invited its machine under the name `invited`. `place` names what comes back when its bridge
    starts again: orders hold there (dispatcher/orders.py). The owner of its machine has paused it
    until `paused_until_s`, Unix time; 0: no. All its slots together made `tokens_per_s` in the last
    seconds. `progress` says how far each of its attempts is (dispatcher/progress.py).
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
    progress: str = ""

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
