"""What is left of a job after its worker was lost, as it is queued again. Pure."""

from typing import Any

from api.json_text import compact
from api.output_limit import with_limit_of_rest
from dispatcher.continuation import Continuation
from dispatcher.job import Job


def from_the_start(job: Job) -> Continuation:
    """All of it, for any worker: nothing of its text was seen."""
    return Continuation(job.body, False, job.prompt_tokens, job.completion_tokens, 0)


def rest_of(job: Job, body: dict[str, Any], seen_tokens: int) -> Continuation:
    """What `body` asks for after the tokens that were seen. Its limit is that of the whole."""
    return Continuation(
        compact(with_limit_of_rest(body, seen_tokens)),
        same_fingerprint=True,
        prompt_tokens=job.prompt_tokens + seen_tokens,
        completion_tokens=max(1, job.completion_tokens - seen_tokens),
        seen_tokens=seen_tokens,
    )
