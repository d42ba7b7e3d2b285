"""Anthropic's headers for limits. Pure."""

from datetime import UTC, datetime

from api.rates import Rate


def rate_headers(what: str, rate: Rate) -> dict[str, str]:
    """What is left of `requests` or `tokens`, and when all is there again.

    >>> list(rate_headers("tokens", Rate(60, 59, 361, 1796256000.0)).values())
    ['60', '59', '2026-12-03T00:00:00Z']
    """
    at = datetime.fromtimestamp(rate.reset_at_s, UTC)
    return {
        f"anthropic-ratelimit-{what}-limit": str(rate.limit),
        f"anthropic-ratelimit-{what}-remaining": str(max(0, rate.remaining)),
        f"anthropic-ratelimit-{what}-reset": f"{at:%Y-%m-%dT%H:%M:%SZ}",
    }
