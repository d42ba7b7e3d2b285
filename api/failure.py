"""What a frame that ends a job without its answer means for the client. Pure."""

import json
import logging

from api.errors import BY_CODE, ApiError, from_llama_server, from_llamaq
from api.reply_headers import rate_headers
from api.stay import Stay
from dispatcher.errors import (
    CalledOff,
    JobCancelled,
    LlamaqError,
    QueueFull,
    Superseded,
    TenantQueueFull,
    WorkerFailed,
)
from dispatcher.frames import Frame, Kind

log = logging.getLogger("llamaq.relay")

_TOO_LONG = "exceed_context_size_error"


def failure(frame: Frame, stay: Stay | None = None) -> LlamaqError | ApiError:
    """The error to raise for it; `stay` is that of a limited tenant."""
    if frame.kind is Kind.LIMITED and stay is not None:
        return stay.used_up()
    said = json.loads(frame.payload or b"{}")
    if frame.kind is Kind.REJECTED:
        return from_llama_server(said["status"], said["body"].encode())
    if frame.kind in (Kind.FAILED, Kind.LOST):
        failed = WorkerFailed(str(said["message"]))
        if said["code"] in list(BY_CODE):  # it may be anything, and not only a text
            failed.code = said["code"]
        return failed
    if frame.kind is Kind.DROPPED:
        return QueueFull(
            "The model's queue is full, and a tenant with less in it got the place of this "
            "request, your newest one. Send fewer requests at a time, or try again later."
        )
    if frame.kind is Kind.SUPERSEDED:
        return Superseded(
            "A newer request with the same `x-llamaq-supersede` key took this one's place in "
            "the queue: use the answer to that one."
        )
    return CalledOff(
        "The request was cancelled on the server's side, by an operator. Ask them before you send "
        "it again."
    )


def fault_of(error: Exception) -> LlamaqError | ApiError:
    """The error for the client where an answer can't be read: a worker may say anything."""
    if isinstance(error, (ApiError, LlamaqError)):
        return error
    log.error("A worker's answer can't be read: %.200r", error)
    return WorkerFailed("The worker's answer can't be read by this API.")


def tenant_queue_full(error: TenantQueueFull, limit: int) -> ApiError:
    """The error for a tenant that has as many jobs in the queue as it may have."""
    refused = from_llamaq(error, "")
    refused.headers |= rate_headers(limit, queued=limit)
    return refused


def stopped() -> JobCancelled:
    """The error of a request whose API ends at once."""
    return JobCancelled("The API has to stop now. Please send the request again.")


def ended_early() -> WorkerFailed:
    """The error of an answer that lacks its end."""
    return WorkerFailed("The model server ended its answer early. Please send the request again.")


def unreadable() -> WorkerFailed:
    """The error of an answer that is not what llama-server says."""
    return WorkerFailed("The model server's answer can't be read. Please send the request again.")


def restarted(has_begun: bool) -> bytes:
    """What a stream shows of an answer that begins again: nothing.

    Raises `WorkerFailed` if its client has seen a part of it.
    """
    if has_begun:
        raise WorkerFailed(
            "The worker was lost in the middle of its answer. Please send the request again."
        )
    return b""


def cannot_continue(frame: Frame, reason: Exception) -> WorkerFailed:
    """The error of an answer that broke off, as `frame` tells, and can't go on for this reason."""
    said = json.loads(frame.payload or b"{}").get("message", "The worker was lost.").rstrip(".")
    return WorkerFailed(
        f"{said}. The answer can't go on elsewhere, because {reason}. Please send the request "
        "again."
    )


def has_no_room(frame: Frame) -> bool:
    """Whether a server refused because its context is full."""
    return frame.kind is Kind.REJECTED and _TOO_LONG in json.loads(frame.payload)["body"]
