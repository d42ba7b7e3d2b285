"""The log line of an attempt, written when it is settled: no prompts, and no words of an answer."""

import json
import re
import time

from dispatcher.errors import Fenced
from dispatcher.log_lines import Lines
from worker_bridge.attempt import Attempt, Served
from worker_bridge.ends import End, Result
from worker_bridge.verdict import BROKEN

FIELDS = (
    *("id", "choice", "path", "end", "became", "stopped", "status", "reason", "model", "worker"),
    *("attempt", "queue_ms", "slot_ms", "ttft_ms", "ms"),
    *("prompt_tokens", "cached_tokens", "completion_tokens", "tokens_per_s"),
)

LINES = Lines("attempt", "llamaq.attempts", FIELDS)

ANSWERED, REQUEUED, NOT_OURS, UNSETTLED = "answered", "requeued", "not_ours", "unsettled"

_ENDS = {end: end.name.lower() for end in End}
_BY_SERVER = "The worker failed: "
_QUOTE = re.compile("[:\"'`{[<(\n]")
_MOST_CHARS = 80
_TELLING_CHARS = 4


def write(attempt: Attempt, served: Served, fault: BaseException | None) -> None:
    """Writes the line of an attempt that is settled, or is not because of this fault."""
    claim, answer, result = attempt.claim, attempt.answer, attempt.result
    used, rate, status, reason = answer.meter.usage, attempt.timings, None, None
    since, begun_at, first_at = attempt.started_at, attempt.begun_at, answer.first_at
    if result is None or result.end is not End.DONE or fault is not None:
        attempt.became = became_of(attempt, fault)
        status, reason = _why(result, claim.body)
    id_, _, choice = claim.job.partition("-")
    has_used = used.prompt and not attempt.is_side
    is_timed = rate is not None and rate.predicted > 0 and rate.predicted_ms > 0
    values = (
        *(id_, choice or None, claim.path, _ENDS[result.end] if result else None),
        *(attempt.became, attempt.stopped_by, status, reason, served.model, served.worker),
        *(claim.attempt_id.rpartition(":")[2], claim.queue_ms),
        int(1000 * (begun_at - since)) if begun_at else None,
        int(1000 * (first_at - since)) if first_at else None,
        int(1000 * (time.monotonic() - since)),
        *((used.prompt, used.cached, used.completion) if has_used else _NONE),
        round(1000 * rate.predicted / rate.predicted_ms, 1) if rate and is_timed else None,
    )
    LINES.take(values)
    if attempt.trace is not None:
        is_good = result is not None and result.end is End.DONE and fault is None
        attempt.trace.end(dict(zip(FIELDS, values, strict=True)), is_good=is_good)


_NONE = None, None, None


def became_of(attempt: Attempt, fault: BaseException | None) -> str:
    """What became of its job, as far as its bridge knows."""
    if isinstance(fault, Fenced):
        return NOT_OURS
    return UNSETTLED if fault is not None or attempt.result is None else attempt.became


def reason_of(message: str, body: bytes | None) -> str:
    """A message without what a server may repeat of this request, or of its answer.

    >>> reason_of("The worker failed: Found no rule for Ann: Dear Bob", b"Hi, Ann likes rules")
    'The worker failed: Found no'
    """
    if not message.startswith(_BY_SERVER):
        return message
    said = message.removeprefix(_BY_SERVER)
    if known := next((words for words in BROKEN if said.startswith(words)), None):
        return _BY_SERVER + known
    told: list[str] = []
    for word in _QUOTE.split(said, maxsplit=1)[0][:_MOST_CHARS].split():
        if body is None or (len(word) >= _TELLING_CHARS and word.encode() in body):
            break
        told.append(word)
    return (_BY_SERVER + " ".join(told)).rstrip(": ")


def _why(result: Result | None, body: bytes | None) -> tuple[int | None, str | None]:
    """The status of a refusal, and the reason of a failure."""
    said = json.loads(result.payload or b"{}") if result else {}
    message = said.get("message")
    return said.get("status"), None if message is None else reason_of(message, body)
