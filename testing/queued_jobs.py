"""Jobs as an API submits them, and attempts as a bridge ends them, with defaults for a test."""

from typing import Any

from dispatcher.arguments import Ended, QueuedJob
from dispatcher.frames import Frame, Kind, pack
from dispatcher.job import CHAT_PATH, CHUNKS, split_attempt_id

WAIT_MS = 60_000
DEADLINE_MS = 120_000
_DEFAULTS: dict[str, Any] = {
    **{"generation": 1, "latest_ms": 2**52, "tenant": "ann", "user": "-", "tier": "default"},
    **{"weight": 1, "wants": "stream", "estimate": 1, "wait_ms": WAIT_MS},
    **{"deadline_ms": DEADLINE_MS, "supersedes": "", "seen_cost": "", "seen": "", "part": ""},
    **{"path": CHAT_PATH, "form": CHUNKS, "is_admitted": 0, "body": b"body", "quota": ""},
}


def queued_job(
    job: str,
    *,
    class_: str = "any",
    tokens: tuple[int, int] = (1, 0),
    prefixes: tuple[str, ...] = (),
    **more: Any,
) -> QueuedJob:
    """A job. `tokens` are estimates of the prompt and the answer; `more` are fields of the job.

    `prefixes` are the beginnings of its conversation, the longest first.
    """
    return QueuedJob(
        id=job,
        needs=class_,
        prompt_tokens=tokens[0],
        completion_tokens=tokens[1],
        remembered=" ".join(prefixes[:1]),
        beginnings=" ".join(prefixes),
        **_DEFAULTS | more,
    )


def ended_attempt(attempt_id: str, state: str = "done", cost: int = 1) -> Ended:
    """An attempt that has ended."""
    return Ended(attempt_id, state, pack([Frame(Kind(state), 0)]), 700, 1100, 300, cost)


def jobs_of(attempt_ids: list[str]) -> list[str]:
    """The jobs that these attempts are of."""
    return [split_attempt_id(attempt_id)[0] for attempt_id in attempt_ids]
