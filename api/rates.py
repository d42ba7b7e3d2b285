"""What a limited tenant is told of its limits, with an answer or with a refusal. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil

from api.errors import MAX_RETRY_AFTER_S, NO_RETRY, ApiError


@dataclass(frozen=True, slots=True)
class Rate:
    """A limit, how much of it is left, and when all of it is: in seconds, and as Unix time."""

    limit: int
    remaining: int
    reset_s: float
    reset_at_s: float


RateForm = Callable[[str, Rate], dict[str, str]]
"""The headers that tell the clients of an endpoint of a rate of `requests` or `tokens`."""


def openai_headers(what: str, rate: Rate) -> dict[str, str]:
    """OpenAI's.

    >>> list(openai_headers("tokens", Rate(60, 59, 361, 0)).values())
    ['60', '59', '6m1s']
    """
    return {
        f"x-ratelimit-limit-{what}": str(rate.limit),
        f"x-ratelimit-remaining-{what}": str(max(0, rate.remaining)),
        f"x-ratelimit-reset-{what}": span(rate.reset_s),
    }


def span(seconds: float) -> str:
    """A time as OpenAI's headers have it, in whole seconds.

    >>> span(0.2), span(360), span(86399.5), span(0)
    ('1s', '6m0s', '24h0m0s', '0s')
    """
    minutes, rest = divmod(ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def too_many_requests(whose: str, limit: int, wait_s: float) -> ApiError:
    """The error for one more request than there may be in a minute."""
    return _limited(
        f"{whose} may send {limit} requests a minute: try again in {span(wait_s)}.", wait_s
    )


def too_many_open(whose: str, limit: int) -> ApiError:
    """The error for one more request at a time than there may be."""
    return _limited(
        f"{whose} may have {limit} requests open at a time: wait for one of them to end.", 1
    )


def too_many_tokens(whose: str, per: str, rate: Rate) -> ApiError:
    """The error where the tokens of a day, or of a month, are used up."""
    used = rate.limit - rate.remaining
    at = datetime.fromtimestamp(rate.reset_at_s, UTC)
    return _limited(
        f"{whose} may use {rate.limit} tokens a {per}, and {used} are used: try again in "
        f"{span(rate.reset_s)}, at {at:%Y-%m-%d %H:%M} UTC.",
        rate.reset_s,
    )


def _limited(message: str, wait_s: float) -> ApiError:
    """A client waits by itself where that does not take long."""
    seconds = max(1, ceil(wait_s))
    return ApiError(
        429,
        message,
        type="rate_limit_error",
        code="rate_limited",
        headers={
            "Retry-After": str(min(seconds, MAX_RETRY_AFTER_S)),
            **(NO_RETRY if seconds > MAX_RETRY_AFTER_S else {}),
        },
    )
