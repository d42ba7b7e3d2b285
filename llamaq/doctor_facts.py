"""What `llamaq doctor` finds out before it judges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dispatcher.model_state import ModelState
from dispatcher.redis_facts import RedisFacts
from dispatcher.sentinels import Told


@dataclass(frozen=True, slots=True)
class RedisLook:
    """The queue's Redis.

    `problem` says why it can't be used, with an `advice`; `refusal` why it takes no writes. `url`
    has no secrets. `ahead_s` is how far this machine's clock is ahead of that of Redis.
    """

    url: str
    problem: str = ""
    advice: str = ""
    refusal: str = ""
    facts: RedisFacts = field(default_factory=RedisFacts)
    allows_eviction: bool = False
    latency_ms: float = 0
    ahead_s: float = 0
    is_behind_sentinels: bool = False
    sentinels: Sequence[Told] = ()


@dataclass(frozen=True, slots=True)
class QueueLook:
    """The models, and the protocols that the APIs of each speak.

    An invited machine may not see them: they are hidden from it.
    """

    models: Sequence[ModelState] = ()
    api_protocols: Mapping[str, Sequence[int]] = field(default_factory=dict)
    is_hidden: bool = False


@dataclass(frozen=True, slots=True)
class OwnServer:
    """A llama-server of this machine that a worker serves. `has_parallel` is None if not known."""

    worker: str
    url: str
    listens: bool
    has_parallel: bool | None = None


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token that `llamaq token create` has made."""

    subject: str
    ends_in_s: float
    is_revoked: bool


@dataclass(frozen=True, slots=True)
class TokensLook:
    """What verifies tokens here, and the tokens that are known.

    `problem` says what is wrong with the settings, `refusal` why the given token is not believed.
    """

    has_keys: bool = False
    problem: str = ""
    records: Sequence[TokenRecord] = ()
    was_given: bool = False
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Disk:
    """The folder of a `llamaq up`, and the room on its disk."""

    folder: str
    exists: bool = False
    is_writable: bool = False
    free_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Port:
    """A port of this machine. `answer`: `llamaq`, `another program`, or empty where none listens.

    `is_expected` where a `llamaq up` runs that should listen there.
    """

    what: str
    address: str
    answer: str
    is_expected: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it. `version` and `protocol` are those of this program."""

    version: str
    protocol: int
    redis: RedisLook
    queue: QueueLook = field(default_factory=QueueLook)
    own_servers: Sequence[OwnServer] = ()
    tokens: TokensLook = field(default_factory=TokensLook)
    disk: Disk = field(default_factory=lambda: Disk(""))
    ports: Sequence[Port] = ()
