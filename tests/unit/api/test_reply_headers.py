"""Headers that tell how a request is served."""

import doctest

from api import reply_headers
from api.reply_headers import place_headers, rate_headers
from dispatcher.reply import Place


def test_more_than_the_bound_leaves_none() -> None:
    assert rate_headers(limit=2, queued=3)["x-ratelimit-remaining-requests"] == "0"


def test_unknown_start_is_left_out() -> None:
    assert place_headers(Place(1, None)) == {"x-llamaq-queue-position": "1"}
    assert doctest.testmod(reply_headers).failed == 0
