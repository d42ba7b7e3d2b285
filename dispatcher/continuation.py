"""Resumes a job whose worker was lost in the middle of its answer."""

from dataclasses import dataclass, replace

from dispatcher.commands import Commands
from dispatcher.cost import Shown
from dispatcher.errors import WorkerFailed
from dispatcher.job import Job
from dispatcher.needs import Needs, read_needs


@dataclass(frozen=True, slots=True)
class Continuation:
    """What is left of a job. `body` is for llama-server, and carries the text that was seen.

    With `same_fingerprint` only a worker equal to the lost one takes it. `prompt_tokens` (the seen
    ones included) and `completion_tokens` (of what is left) are estimates. The client has seen
    `seen_tokens` of the answer, over all attempts. `shown` says more of them where the answer
    continues after them.
    """

    body: bytes
    same_fingerprint: bool
    prompt_tokens: int
    completion_tokens: int
    seen_tokens: int
    shown: Shown | None = None


def what_is_left(job: Job, rest: Continuation, fingerprint: str) -> Job:
    """What is left, as a job. Its worker had this fingerprint.

    Raises `WorkerFailed` where the fingerprint is needed, and was not told.
    """
    if rest.same_fingerprint and not fingerprint:
        raise WorkerFailed(
            "The answer broke off, and its worker has not told its build. Please send the request "
            "again, and update the bridges."
        )
    return replace(
        job,
        body=rest.body,
        needs=replace(job.needs, fingerprint=fingerprint if rest.same_fingerprint else ""),
        wait_s=job.deadline_s,
        prompt_tokens=rest.prompt_tokens,
        completion_tokens=rest.completion_tokens,
        seen_tokens=rest.seen_tokens,
        shown=rest.shown,
    )


async def resume(commands: Commands, left: Job, generation: int) -> Needs | None:
    """Queues what is left of a job, in place of all its earlier submissions.

    Returns what it needs of its worker now; None if Redis doesn't know the job. Raises
    `WorkerFailed` if it may not go on, and `RedisUnavailable`; it may then be repeated.
    """
    estimates = left.estimate, left.prompt_tokens, left.completion_tokens
    seen = left.seen_cost or 0, left.shown.text if left.shown else ""
    verdict, said = await commands.resume(
        left.id, generation, left.needs.fingerprint, estimates, seen, left.body
    )
    if verdict == b"OK":
        return read_needs(said.decode())
    if said == b"unknown":
        return None
    if verdict == b"SPENT":
        raise WorkerFailed(
            f"The answer broke off, and was taken up by no other worker: {said} have failed at it. "
            "Please send the request again."
        )
    raise WorkerFailed("The answer broke off. Please send the request again.")
