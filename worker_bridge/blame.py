"""What the end of an attempt says of the server. Pure."""

from worker_bridge.breaker import Outcome
from worker_bridge.health import Health
from worker_bridge.run import End

_DOUBTS = {
    End.WORKER: Health.SUSPECT,  # while it is looked at, another worker takes the job
    End.OVERLOADED: Health.OVERLOADED,
    End.CRASHED: Health.DOWN,
    End.NOT_REACHED: Health.DOWN,
    End.STALLED: Health.WEDGED,
    End.LOADING: Health.LOADING,
    End.SETUP: Health.MISCONFIGURED,
}
# A refusal says little: the engine has not worked for it. In doubt the breaker has the bridge ask
# the server, which goes on meanwhile. One that is not there, or not ready, is seen by the looks at
# its health.
_OUTCOMES = {
    End.DONE: Outcome.GOOD,
    End.WORKER: Outcome.BAD,
    End.OVERLOADED: Outcome.BAD,
    End.STALLED: Outcome.BAD,
    End.UNSURE: Outcome.DOUBTFUL,
    End.CRASHED: Outcome.CRASHED,
}


def doubt_about(end: End) -> Health | None:
    """How the server is taken to be until it was looked at; None where there is no doubt."""
    return _DOUBTS.get(end)


def outcome_of(end: End) -> Outcome:
    """What the circuit breaker counts."""
    return _OUTCOMES.get(end, Outcome.NOTHING)
