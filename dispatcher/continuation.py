"""How a job goes on whose worker was lost in the middle of its answer."""

from dataclasses import dataclass

from dispatcher.cost import INPUT, OUTPUT, cost
from dispatcher.errors import WorkerFailed
from dispatcher.needs import Needs, read_needs
from dispatcher.scripts import Scripts


@dataclass(frozen=True, slots=True)
class Continuation:
    """What is left of a job. `body` is for llama-server, and carries the text that was seen.

    With `same_build` only a worker equal to the lost one takes it. `prompt_tokens`, which counts
    what was seen, and `completion_tokens`, what is left, are estimates; `seen_tokens` are those of
    the answer that the client has seen, over all attempts.
    """

    body: bytes
    same_build: bool
    prompt_tokens: int
    completion_tokens: int
    seen_tokens: int


async def resume(scripts: Scripts, job: str, attempt: str, rest: Continuation) -> Needs:
    """Queues the job again that was lost in this attempt; returns what it needs of its worker now.

    Raises `WorkerFailed` if it may not go on, and `RedisUnavailable`; it may then be repeated.
    """
    verdict, said = await scripts.run(
        "resume",
        *(job, attempt, int(rest.same_build)),
        *(cost(rest.prompt_tokens, rest.completion_tokens), rest.prompt_tokens),
        *(rest.completion_tokens, _seen_cost(rest.seen_tokens), rest.body),
    )
    if verdict == b"OK":
        return read_needs(said.decode())
    if verdict == b"SPENT":
        raise WorkerFailed(
            f"The answer broke off, and was taken up by no other worker: {said} have failed at it. "
            "Please send the request again."
        )
    raise WorkerFailed("The answer broke off. Please send the request again.")


def _seen_cost(tokens: int) -> int:
    """What is still to be paid for the text that was seen: the rest of the job has it as input."""
    return tokens * (OUTPUT - INPUT)
