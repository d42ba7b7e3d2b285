"""A Redis whose memory is full: new requests are told so, those that run end well."""

from collections.abc import Iterator

import openai
import pytest
from redis import Redis

from tests.end_to_end.conftest import Fleet

pytestmark = pytest.mark.real


@pytest.fixture
def redis(fleet: Fleet) -> Iterator[Redis]:
    with Redis.from_url(fleet.redis_url) as client:
        yield client
        client.config_set("maxmemory", 0)


def test_new_requests_get_503_and_a_stream_goes_on_to_its_end(fleet: Fleet, redis: Redis) -> None:
    """M6: at d26fdb4 the embedded server had no bound at all."""
    chats = fleet.openai().chat.completions
    asked = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]}
    endless = {"extra_body": {"ignore_eos": True}, "max_tokens": 300}
    stream = iter(chats.create(**asked, **endless, stream=True))  # type: ignore[call-overload]
    begun = [next(stream), next(stream)]
    redis.config_set("maxmemory", 1)
    with pytest.raises(openai.InternalServerError) as refused:
        chats.create(**asked, max_tokens=4)  # type: ignore[call-overload]
    redis_is_full = refused.value
    assert (redis_is_full.status_code, redis_is_full.code) == (503, "redis_unavailable")
    assert redis_is_full.response.headers["retry-after"] == "2"
    for words in ("memory is full", "send the request again later", "LLAMAQ_REDIS_MAX_BYTES"):
        assert words in redis_is_full.message
    chunks = [*begun, *stream]
    assert sum(bool(chunk.choices and chunk.choices[0].delta.content) for chunk in chunks) > 100
    assert chunks[-1].choices[0].finish_reason == "length"
    redis.config_set("maxmemory", 0)
    assert chats.create(**asked, max_tokens=4).choices  # type: ignore[call-overload]
