"""What can go wrong with a job. The API maps each code to an HTTP status, in one table."""


class LlamaqError(Exception):
    """A failure with a code for programs and a message that tells people what to do next."""

    code = "internal_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class QueueFull(LlamaqError):
    """The queue of the model has reached its bound in jobs or in bytes.

    `retry_after_s` is when there may be room again.
    """

    code = "queue_full"

    def __init__(self, message: str, retry_after_s: int = 5) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TenantQueueFull(QueueFull):
    """The tenant has as many jobs in the queue as it may have."""

    code = "tenant_queue_full"


class Superseded(LlamaqError):
    """A newer request of the same tenant and key has taken this one's place in the queue."""

    code = "superseded"


class ModelNotFound(LlamaqError):
    """No worker has ever served a model of this name."""

    code = "model_not_found"


class ModelUnavailable(LlamaqError):
    """The model is known, but no worker that serves it came within the grace time."""

    code = "model_unavailable"


class DeadlineExceeded(LlamaqError):
    """The job waited or ran for longer than it may."""

    code = "deadline_exceeded"


class WorkerFailed(LlamaqError):
    """Workers failed while they ran the job, and it can't or may not be tried again."""

    code = "worker_failed"


class SlowClient(LlamaqError):
    """The client reads more slowly than the answer is produced, and its buffer is full."""

    code = "slow_client"


class JobCancelled(LlamaqError):
    """The API that waits for the job has to stop."""

    code = "cancelled"


class CalledOff(LlamaqError):
    """An operator has cancelled the job."""

    code = "cancelled_by_operator"


class RedisUnavailable(LlamaqError):
    """Redis can't be reached or refuses work for now."""

    code = "redis_unavailable"


class RedisFull(RedisUnavailable):
    """Redis takes nothing that needs memory."""


class Fenced(LlamaqError):
    """This bridge is not, or no longer, who it thinks it is: another one may hold its jobs."""

    code = "fenced"
