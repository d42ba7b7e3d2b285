"""What a look at a server tells of its health. Pure."""

from enum import StrEnum

_SILENCES = 2  # a busy machine may miss one probe


class ProbeResult(StrEnum):
    """What a look at the server came back with."""

    OK = "ok"
    LOADING = "loading"
    REFUSED = "refused"  # nobody listens: the process is dead
    UNREACHABLE = "unreachable"  # no way to its machine; the process may live
    SILENT = "silent"  # no answer in time
    UNAUTHORIZED = "unauthorized"
    STRANGE = "strange"  # something answers, but not as a llama-server does
    FAILED = "failed"  # it can't do what it was asked for


class Health(StrEnum):
    """What the server is fit for; only a healthy one gets work."""

    STARTING = "starting"  # not seen yet
    LOADING = "loading"
    HEALTHY = "healthy"
    DOWN = "down"
    SUSPECT = "suspect"  # it has failed a request, and is looked at before it gets another
    OVERLOADED = "overloaded"  # it has refused a request because it has too many
    WEDGED = "wedged"  # it answers, but its engine doesn't
    MISCONFIGURED = "misconfigured"  # not the server that this bridge was told of
    INCOMPLETE = "incomplete"  # another machine, with a part of its model, is gone


_AFTER = {
    ProbeResult.OK: Health.HEALTHY,
    ProbeResult.LOADING: Health.LOADING,
    ProbeResult.REFUSED: Health.DOWN,
    ProbeResult.UNREACHABLE: Health.DOWN,
    ProbeResult.UNAUTHORIZED: Health.MISCONFIGURED,
    ProbeResult.STRANGE: Health.MISCONFIGURED,
}


def next_health(now: Health, found: ProbeResult, silences: int) -> Health:
    """The health after a look at the server that came back with `found`.

    `silences` counts the looks in a row, this one included, that got no answer.

    >>> next_health(Health.HEALTHY, ProbeResult.SILENT, 1)
    <Health.HEALTHY: 'healthy'>
    >>> next_health(Health.HEALTHY, ProbeResult.SILENT, 2)
    <Health.DOWN: 'down'>
    """
    if found is not ProbeResult.SILENT:
        return _AFTER[found]
    if silences >= _SILENCES:
        return Health.DOWN
    return now
