"""Headers that tell how a request is served."""

from api.reply_headers import rate_headers


def test_more_than_the_bound_leaves_none() -> None:
    assert rate_headers(limit=2, queued=3)["x-ratelimit-remaining-requests"] == "0"
