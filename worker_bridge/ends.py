"""How attempts end, and what follows from each end: one table. Pure."""

import json
from dataclasses import dataclass
from enum import Enum, auto

from dispatcher.errors import WorkerFailed
from dispatcher.frames import Kind
from dispatcher.job import Toll
from worker_bridge.breaker import Outcome
from worker_bridge.health import Health


class End(Enum):
    """How an attempt ended."""

    DONE = auto()  # the answer is complete
    REJECTED = auto()  # the server's refusal is the answer
    UNREADABLE = auto()  # the server can't read what the model said; the client is told
    TOO_LONG = auto()  # the prompt has more tokens than this server's context
    WORKER = auto()  # the server failed; another one may do better
    UNSURE = auto()  # as WORKER, but where another one says the same it was the request's fault
    OVERLOADED = auto()  # the server has too many requests, and needs a moment
    CRASHED = auto()  # the server broke while it had the job
    BEREFT = auto()  # as CRASHED, for a machine broke that the server needs
    STALLED = auto()  # the server stood still
    SETUP = auto()  # the server is not what this bridge was told
    NOT_REACHED = auto()  # the server never had the job
    LOADING = auto()  # the server is not ready
    GIVEN_BACK = auto()  # for a reason that is neither the server's nor the job's
    ORPHANED = auto()  # stopped: its API was taken for dead, and may be back
    UNWANTED = auto()  # stopped: nobody waits for it
    FOREIGN = auto()  # stopped: the job is somebody else's


@dataclass(frozen=True, slots=True)
class Consequence:
    """What follows from an end.

    `answer` is the last frame, where the job ends with this attempt. Where it doesn't, the job is
    `returned` to the queue, which takes `toll` of it. `outcome` is what the breaker counts, `doubt`
    how the server is taken to be until it was looked at. With `slot_lags` the request was dropped:
    its slot counts as taken until the server has freed it.
    """

    answer: Kind | None = None
    returned: bool = False
    toll: Toll = Toll.NOTHING
    outcome: Outcome = Outcome.NOTHING
    doubt: Health | None = None
    slot_lags: bool = False


def _returned(
    toll: Toll = Toll.NOTHING,
    outcome: Outcome = Outcome.NOTHING,
    doubt: Health | None = None,
    *,
    slot_lags: bool = False,
) -> Consequence:
    return Consequence(None, True, toll, outcome, doubt, slot_lags)


# A refusal says little of the server: its engine has not worked for it. One that is not there, or
# not ready, is seen by the looks at its health, so the breaker doesn't count it.
CONSEQUENCES = {
    End.DONE: Consequence(Kind.DONE, outcome=Outcome.GOOD),
    End.REJECTED: Consequence(Kind.REJECTED),
    End.UNREADABLE: Consequence(Kind.REJECTED),
    End.TOO_LONG: Consequence(Kind.REJECTED),  # unless a worker with more context takes the job
    End.WORKER: _returned(Toll.ATTEMPT, Outcome.BAD, Health.SUSPECT),
    End.UNSURE: _returned(Toll.ATTEMPT, Outcome.DOUBTFUL),
    End.OVERLOADED: _returned(Toll.ATTEMPT, Outcome.BAD, Health.OVERLOADED),
    End.CRASHED: _returned(Toll.CRASH, Outcome.CRASHED, Health.DOWN),
    End.BEREFT: _returned(Toll.SETBACK, doubt=Health.INCOMPLETE),
    End.STALLED: _returned(Toll.ATTEMPT, Outcome.BAD, Health.WEDGED),
    End.SETUP: _returned(Toll.SETBACK, doubt=Health.MISCONFIGURED),
    End.NOT_REACHED: _returned(doubt=Health.DOWN),
    End.LOADING: _returned(doubt=Health.LOADING),
    End.GIVEN_BACK: _returned(),
    End.ORPHANED: _returned(slot_lags=True),
    End.UNWANTED: Consequence(Kind.CANCELLED, slot_lags=True),
    End.FOREIGN: Consequence(slot_lags=True),
}


@dataclass(frozen=True, slots=True)
class Result:
    """How an attempt ended.

    `payload` is that of its last frame, or the error that its client gets if the job is returned
    and nobody else may try it. `refusal` is the last frame's payload where that is not known yet.
    """

    end: End
    payload: bytes = b""
    refusal: bytes = b""


def failure(message: str) -> bytes:
    """What the client is told when no other worker may try."""
    return json.dumps({"code": WorkerFailed.code, "message": message}).encode()


def blamed(result: Result, health: Health) -> Result:
    """How the attempt ended that a server of this health had: a job crashes no other machine."""
    if result.end is not End.CRASHED or health is not Health.INCOMPLETE:
        return result
    return Result(
        End.BEREFT, failure("The worker's llama-server has lost a machine that it needs.")
    )
