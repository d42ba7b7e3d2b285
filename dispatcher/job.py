"""A job as the API submits it, and as a worker holds it after a claim."""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from urllib.parse import quote

from dispatcher.constants import KEYED
from dispatcher.cost import INPUT, OUTPUT, SIDE_BYTE, Shown, cost
from dispatcher.needs import ANYBODY, Needs
from dispatcher.tier import Tier

CHAT_PATH = "/v1/chat/completions"
"""The path of a job that names no other."""

CHUNKS = ""
BODY = "body"
"""Two of the forms in which llama-server answers: see `Job`."""

NOBODY = "-"
"""Stands in Redis for the end user of a job that names none."""


class Want(StrEnum):
    """What the client asked to see, beyond the text itself."""

    STREAM = "stream"
    USAGE = "usage"
    PROGRESS = "progress"
    TIMINGS = "timings"


class Part(StrEnum):
    """What a job is of its request: usage counts each thing once."""

    FIRST = ""
    PROMPT = "prompt"  # another prompt, or another piece of a long one
    CHOICE = "choice"  # another answer to the same prompt


class Toll(StrEnum):
    """What an attempt that failed costs its job."""

    NOTHING = "nothing"
    SETBACK = "setback"  # the server was not what its bridge was told of: a job meets only a few
    ATTEMPT = "attempt"
    CRASH = "crash"  # an attempt, and a server


@dataclass(frozen=True, slots=True)
class Job:
    """One request on its way into the queue.

    `body` is sent to llama-server as it is, to `path`. `wait_s` bounds the time in the queue,
    `deadline_s` the whole request, both from the moment of the enqueue. `tenant` is the token's
    subject, `user` the end user it speaks for; `weight` is the tenant's part against others of its
    tier. `prompt_tokens` and `completion_tokens` are estimates. `prefixes` name the beginnings of
    the conversation, the longest first. A job that `supersedes` a key cancels the queued job of its
    tenant and user with the same key.

    The client has seen `seen_tokens` of its answer already, None before it has begun: `body` asks
    for what is left. `shown` says more of them where the answer continues after them. llama-server
    answers in this `form`: OpenAI's chunks (`CHUNKS`), one JSON value (`BODY`), or events, the last
    of which has these words in it. A job that `is_admitted` is a piece of a request that was let
    in: no bound refuses it. `part` is what it is of its request. `quota` is what is left of its
    tenant's tokens, as `api.token_budget` writes it, "" where there is no limit. `trace` is the W3C
    `traceparent` of its request, "" where that is not traced.
    """

    id: str
    model: str
    tenant: str
    body: bytes
    wants: frozenset[Want]
    wait_s: float
    deadline_s: float
    user: str = ""
    tier: Tier = Tier.DEFAULT
    weight: float = 1
    needs: Needs = ANYBODY
    prompt_tokens: int = 1
    completion_tokens: int = 0
    prefixes: tuple[str, ...] = ()
    supersedes: str = ""
    seen_tokens: int | None = None
    shown: Shown | None = None
    path: str = CHAT_PATH
    form: str = CHUNKS
    is_admitted: bool = False
    part: Part = Part.FIRST
    quota: str = ""
    trace: str = ""

    @property
    def is_streamed(self) -> bool:
        """Whether its client sees the answer as it grows."""
        return Want.STREAM in self.wants

    @property
    def seen_cost(self) -> int | None:
        """What is still to be paid for the seen text, which is input of what is left."""
        return None if self.seen_tokens is None else self.seen_tokens * (OUTPUT - INPUT)

    @property
    def remembered(self) -> tuple[str, ...]:
        """The beginnings under which a worker that has done the job is remembered."""
        named = (name for name in self.prefixes[1:] if name.startswith(KEYED))
        return (*self.prefixes[:1], *named)

    @property
    def estimate(self) -> int:
        """The expected cost; for a job that needs no slot the real one."""
        if self.needs.side:
            return len(self.body) * SIDE_BYTE
        return cost(self.prompt_tokens, self.completion_tokens)


@dataclass(frozen=True, slots=True)
class Claim:
    """One attempt at a job, held by the worker that claimed it.

    `path` is where llama-server takes the request, `form` is that of its answer (`Job`). A large
    `body` is read apart. `trace` is that of the job.
    """

    job: str
    attempt_id: str
    api: str
    wants: frozenset[Want]
    left_s: float
    queue_ms: int
    needs: Needs = ANYBODY
    path: str = CHAT_PATH
    form: str = CHUNKS
    body: bytes | None = None
    trace: str = ""


def tenant_key(tenant: str) -> str:
    """A tenant's name as it stands in Redis: readable, and free of the separators used there.

    >>> tenant_key("ann@example.org"), tenant_key("a|b c"), tenant_key(NOBODY)
    ('ann@example.org', 'a%7Cb%20c', '%2D')
    """
    return _quoted(tenant) if tenant else ""


@lru_cache(maxsize=1024)
def _quoted(tenant: str) -> str:
    return "%2D" if tenant == NOBODY else quote(tenant, safe="@:+,=")


def split_attempt_id(attempt_id: str) -> tuple[str, str]:
    """The job and the attempt's name in it. Without an attempt the name is the generation alone.

    >>> split_attempt_id("j1:5f-1-2"), split_attempt_id("j1:-2")
    (('j1', '5f-1-2'), ('j1', '-2'))
    """
    job, _, name = attempt_id.rpartition(":")
    return job, name


def generation_of(attempt_id: str) -> int:
    """The submission of its job that an attempt belongs to; 0 where its id or name tells none.

    >>> generation_of("5f-1-3"), generation_of("-2"), generation_of("5f")
    (3, 2, 0)
    """
    number = attempt_id.rpartition("-")[2]
    return int(number) if number.isdecimal() else 0


def encode_wants(wants: frozenset[Want]) -> str:
    """The flags as redis-cli shows them, such as `stream,usage`."""
    return ",".join(sorted(wants))


@lru_cache(maxsize=64)
def decode_wants(text: str) -> frozenset[Want]:
    """The reverse of `encode_wants`; raises `ValueError` for an unknown flag."""
    return frozenset(Want(word) for word in text.split(",") if word)
