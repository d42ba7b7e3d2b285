"""What a client is told that has waited too long. Pure."""

from api.answer import Answer
from api.directory import Directory
from api.inability import unable
from dispatcher.errors import DeadlineExceeded, LlamaqError, WorkerFailed
from dispatcher.job import Job


def expired(model: str, directory: Directory, waited_s: float, is_started: bool) -> LlamaqError:
    """The error of a request whose time is over; `is_started` says that a worker is at work."""
    if is_started:
        return DeadlineExceeded(
            f"The answer was not complete after {waited_s:.0f} s. Ask for fewer tokens, "
            "or stream the answer."
        )
    if not directory.serves(model):
        return directory.unavailable(model)
    return DeadlineExceeded(
        f"No slot for the model '{model}' was free within {waited_s:.0f} s. "
        "Try again when fewer requests wait."
    )


def check_model(job: Job, directory: Directory, waited_s: float) -> None:
    """Raises the error for a job that has waited long enough for a worker, or for an able one.

    What a model can do may only be known once it is loaded.
    """
    if directory.given_up(job.model, waited_s):
        raise directory.unavailable(job.model)
    if directory.lacks(job.model, job.needs, waited_s):
        if directory.is_able(job.model, job.needs):
            raise directory.unavailable(job.model)
        raise unable(job.model, job.needs)


def check_continuation(answer: Answer, directory: Directory, waited_s: float) -> None:
    """Raises `WorkerFailed` for an answer that broke off, and that no worker can continue."""
    if answer.lost_s is None or not answer.reply.waits:
        return
    if directory.lacks(answer.job.model, answer.reply.needs, waited_s - answer.lost_s):
        raise WorkerFailed(
            "The worker was lost in the middle of its answer, and no other has the same "
            "model, chat template and build. Please send the request again."
        )
