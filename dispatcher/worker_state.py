"""A worker, as the API and `llamaq status` see it."""

from dataclasses import dataclass

from dispatcher.facts import DRAINING, FAILED, LEFT, LOADING, UNLOADED
from dispatcher.needs import COMPLETION, Needs
from dispatcher.protocol import PROTOCOL
from dispatcher.row import number, printable, whole, words


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A live worker. `running` counts the attempts that occupy its slots.

    `context` is in tokens per slot. Speeds are in tokens per second of one slot, 0 where unknown.
    All its slots together make `tokens_per_s` now. `foreign` slots of its server work for others,
    and are not among its `slots`. `aliases` are more names of its model. `host` is the machine of
    its bridge, `address` what that has towards Redis (empty: the same machine, or not told). An
    operator has invited it under the name `invited`. `endpoints` are the words of
    `dispatcher.needs`, none where its bridge does not tell. For what it tells of its weights see
    `dispatcher.facts`.

    Since `drained_s`, Unix time, an operator lets it take no jobs, and until `paused_until_s` the
    owner of its machine does; 0: they let it. What holds for it holds for its `place`.
    """

    id: str
    server: str
    health: str
    accepting: bool
    slots: int
    running: int
    context: int
    build: str
    fingerprint: str = ""
    modalities: frozenset[str] = frozenset()
    prompt_tps: float = 0
    decode_tps: float = 0
    breaker: str = "closed"
    foreign: int = 0
    aliases: tuple[str, ...] = ()
    host: str = ""
    address: str = ""
    protocol: int = PROTOCOL
    endpoints: frozenset[str] = frozenset()
    quantisation: str = ""
    size_bytes: int = 0
    parameters: int = 0
    trained_context: int = 0
    reason: str = ""
    invited: str = ""
    tokens_per_s: float = 0
    place: str = ""
    drained_s: float = 0
    paused_until_s: int = 0

    @property
    def rests(self) -> bool:
        """Whether it takes no jobs because an operator or its machine's owner has said so."""
        return self.drained_s > 0 or self.paused_until_s > 0

    @property
    def condition(self) -> str:
        """The word for people: its health, unless somebody has stopped it."""
        if self.health in (LEFT, DRAINING):
            return self.health
        if self.drained_s:
            return "drained"
        return "paused" if self.paused_until_s else self.health

    @property
    def abilities(self) -> frozenset[str]:
        """What it can do and not every worker can."""
        return self.modalities | self.endpoints

    @property
    def makes_text(self) -> bool:
        """Whether its server can answer chats and the like, as far as is known."""
        return not self.endpoints or COMPLETION in self.endpoints

    @property
    def is_understood(self) -> bool:
        """Whether it speaks the same protocol as this process."""
        return self.protocol == PROTOCOL

    @property
    def may_serve(self) -> bool:
        """Whether this process can give it jobs, once it takes some."""
        return self.is_understood and not self.has_failed

    @property
    def is_standby(self) -> bool:
        """Whether its bridge could load the model, or loads it: it has no server so far."""
        return not self.server and self.health in (UNLOADED, LOADING, FAILED)

    @property
    def has_failed(self) -> bool:
        """Whether its bridge could not load the model a moment ago."""
        return self.is_standby and self.health == FAILED

    @property
    def is_unknown(self) -> bool:
        """Whether its model was never loaded, so that nobody knows what it is like."""
        return self.is_standby and not self.fingerprint

    def may_meet(self, needs: Needs) -> bool:
        """Whether it meets these needs, as far as is known."""
        return self.is_unknown or needs.met_by(self.context, self.abilities, self.fingerprint)


FIELDS = (
    *("server", "health", "accepting", "slots", "context", "build", "fingerprint", "modalities"),
    *("prompt_tps", "decode_tps", "breaker", "foreign", "aliases", "host", "address", "protocol"),
    "endpoints",
    *("quantisation", "size_bytes", "parameters", "trained_context", "reason", "invited"),
    *("place", "drained", "paused_until_s", "tokens_per_s"),
)
"""The fields of a worker's row that are read here."""


def read_worker(worker: str, row: list[bytes], running: int) -> WorkerState:
    """A worker from its row in Redis. Raises `ValueError`."""
    pairs = zip(row[::2], row[1::2], strict=True)
    text = {field.decode(errors="replace"): printable(value.decode()) for field, value in pairs}
    return WorkerState(
        id=printable(worker),
        server=text.get("server", ""),
        health=text.get("health", ""),
        accepting=text.get("accepting") == "1",
        slots=whole(text, "slots"),
        running=running,
        context=whole(text, "context"),
        build=text.get("build", ""),
        fingerprint=text.get("fingerprint", ""),
        modalities=words(text.get("modalities", "")),
        prompt_tps=number(text.get("prompt_tps", "0")),
        decode_tps=number(text.get("decode_tps", "0")),
        breaker=text.get("breaker", "closed"),
        foreign=whole(text, "foreign"),
        aliases=tuple(text.get("aliases", "").split()),
        host=text.get("host", ""),
        address=text.get("address", ""),
        protocol=whole(text, "protocol"),
        endpoints=words(text.get("endpoints", "")),
        quantisation=text.get("quantisation", ""),
        size_bytes=whole(text, "size_bytes"),
        parameters=whole(text, "parameters"),
        trained_context=whole(text, "trained_context"),
        reason=text.get("reason", ""),
        invited=text.get("invited", ""),
        tokens_per_s=number(text.get("tokens_per_s", "0")),
        place=text.get("place", "") or printable(worker),
        drained_s=number(text.get("drained", "0")) / 1000,
        paused_until_s=whole(text, "paused_until_s"),
    )
