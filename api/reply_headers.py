"""Headers that tell how a request is served. Pure."""

from api.request_log import Record
from dispatcher.reply import Place


def way_headers(record: Record, place: Place | None) -> dict[str, str]:
    """Who answers a request, or where it stands in the queue, and in which tier."""
    headers = {"x-llamaq-tier": record.tier} if record.tier else {}
    if record.worker is not None:
        headers["x-llamaq-worker"] = record.worker
        headers["x-llamaq-queue-ms"] = str(record.queue_ms)
    elif place is not None:
        headers |= place_headers(place)
    return headers


def rate_headers(limit: int, queued: int) -> dict[str, str]:
    """How many requests a tenant may have in the queue, and how many more than the `queued` ones.

    >>> rate_headers(limit=5, queued=2)
    {'x-ratelimit-limit-requests': '5', 'x-ratelimit-remaining-requests': '3'}
    >>> rate_headers(limit=0, queued=2)
    {}
    """
    if not limit:
        return {}
    return {
        "x-ratelimit-limit-requests": str(limit),
        "x-ratelimit-remaining-requests": str(max(0, limit - queued)),
    }


def place_headers(place: Place) -> dict[str, str]:
    """Where a request stands in the queue, and in how many seconds it starts, where known.

    >>> place_headers(Place(3, eta_s=4))
    {'x-llamaq-queue-position': '3', 'x-llamaq-queue-eta': '4'}
    """
    headers = {"x-llamaq-queue-position": str(place.position)}
    if place.eta_s is not None:
        headers["x-llamaq-queue-eta"] = str(place.eta_s)
    return headers
