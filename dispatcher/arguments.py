"""What scripts are told of each job of a batch. Lua reads the values by the names of the fields."""

from typing import NamedTuple


class QueuedJob(NamedTuple):
    """A job of enqueue.lua. Texts are as they stand in Redis, times in milliseconds.

    After `latest_ms` of Redis' clock the script does nothing for it. `estimate` and `seen_cost` are
    costs. `seen` is what its client has seen (`Shown.text`); while that is nothing, `seen` and
    `seen_cost` are "". `beginnings` names those of its conversation, the longest first. Its worker
    is remembered under those in `remembered`. Blanks part both. With `is_admitted` 1 no bound
    refuses it. `part`, `quota` and `trace` are those of `Job`.
    """

    id: str
    generation: int
    latest_ms: int
    tenant: str
    user: str
    tier: str
    weight: float
    needs: str
    wants: str
    estimate: int
    prompt_tokens: int
    completion_tokens: int
    wait_ms: int
    deadline_ms: int
    supersedes: str
    remembered: str
    seen_cost: int | str
    seen: str
    path: str
    form: str
    is_admitted: int
    part: str
    body: bytes
    beginnings: str
    quota: str
    trace: str = ""


class Ended(NamedTuple):
    """An attempt of finish.lua: its attempt id, how it ended, its last frames, and what it used."""

    id: str
    state: str
    frames: bytes
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cost: int


class GivenBack(NamedTuple):
    """An attempt of release.lua: its attempt id, why it ended, and what it used."""

    id: str
    toll: str
    error: bytes
    needs: str
    refusal: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
