"""What people are told of one worker, and where it is. Pure."""

from urllib.parse import urlsplit

from dispatcher.needs import COMPLETION
from dispatcher.protocol import PROTOCOL
from dispatcher.worker_state import WorkerState

_LOOPBACK = "127.0.0.1", "localhost", "::1", "0.0.0.0"  # noqa: S104  # nothing is bound to it


def worker_line(worker: WorkerState, width: int, here: str) -> str:
    """One line, with `width` for its id, for people on the machine `here`."""
    if worker.is_standby and worker.is_understood:
        could = "could not load" if worker.has_failed else "could load"
        return f"{worker.id:{width}}  {state_of(worker):13}  {could} it on {worker.host}"
    speed = f"  {worker.decode_tps:g} tokens/s" if worker.decode_tps else ""
    others = f" ({worker.foreign} more used by others)" if worker.foreign else ""
    special = ", ".join(sorted(worker.endpoints - {COMPLETION}))
    serves = f"  serves {special}" if special else ""
    invited = f"  invited as {worker.invited}" if worker.invited else ""
    return (
        f"{worker.id:{width}}  {state_of(worker):13}  slots {worker.running}/{worker.slots}{others}"
        f"  context {worker.context}{speed}{serves}{invited}"
        f"  {place_of(worker.server, worker.host, worker.address, here)}"
    )


def state_of(worker: WorkerState) -> str:
    """In a word or a few, how it is."""
    if not worker.is_understood:
        return f"protocol {worker.protocol}, this is {PROTOCOL}: update the older one"
    trusted = worker.health != "healthy" or worker.breaker == "closed"
    return worker.condition if trusted or worker.rests else f"breaker {worker.breaker}"


def place_of(server: str, host: str, address: str, here: str) -> str:
    """Where a server is. If only its own machine `host` can reach it, that is named.

    >>> place_of("http://127.0.0.1:8080", "gpu1", "10.0.0.7", "desk")
    'gpu1:8080 (10.0.0.7)'
    >>> place_of("http://127.0.0.1:8080", "desk", "", "desk")
    'http://127.0.0.1:8080'
    """
    try:
        url = urlsplit(server)
        name, port = url.hostname, f":{url.port}" if url.port else ""
    except ValueError:
        return server
    if name not in _LOOPBACK or not host or host == here:
        return server
    return f"{host}{port} ({address})" if address else f"{host}{port}"
