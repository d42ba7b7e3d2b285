"""A token that was revoked is believed no more: not by what knew it already, nor at the door."""

import time

import pytest
from redis.asyncio import Redis

from api.auth import Authenticator
from api.door import Door
from api.errors import ApiError
from api.line import Line
from api.request_metrics import RequestMetrics
from dispatcher.connection import LinkedRedis, open_redis
from dispatcher.errors import RedisUnavailable
from dispatcher.keys import REVOKED
from dispatcher.revocations import revoke_subject, revoke_token
from testing.builders import make_authenticator, make_token

LATER = int(time.time()) + 3600
REVOKED_ERROR = "The token was revoked: ask for a new one."
PATH = "/v1/chat/completions"


def bearer(**claims: object) -> str:
    return f"Bearer {make_token(**{'iat': int(time.time()), **claims})}"


def subject(believer: Authenticator, header: str) -> str:
    """Whom it names; empty where it is refused as revoked."""
    try:
        return believer.authenticate(header).subject
    except ApiError as error:
        return {REVOKED_ERROR: ""}[error.message]


@pytest.mark.parametrize("is_known", [True, False])
async def test_token_is_refused_by_its_id(redis: LinkedRedis, is_known: bool) -> None:
    believer = make_authenticator()
    revoked, other = bearer(jti="a"), bearer(jti="b")
    if is_known:
        assert subject(believer, revoked) == "me"
    await revoke_token(redis, "a", LATER)
    await believer.read_revocations(redis)
    assert subject(believer, revoked) == ""
    assert subject(believer, other) == "me"


async def test_tokens_of_a_subject_are_refused_and_new_ones_are_not(redis: LinkedRedis) -> None:
    believer = make_authenticator()
    second = await revoke_subject(redis, "me", 0)
    await believer.read_revocations(redis)
    for revoked in (bearer(iat=second), bearer(iat=second - 99), bearer(iat=None, jti="a")):
        assert subject(believer, revoked) == ""
    assert subject(believer, bearer(iat=second + 1)) == "me"
    assert subject(believer, bearer(iat=second, sub="ann")) == "ann"


async def test_what_was_verified_stays_known_while_nothing_is_revoked(redis: LinkedRedis) -> None:
    believer, header = make_authenticator(), bearer()
    tenant = believer.authenticate(header)
    await believer.read_revocations(redis)
    assert believer.authenticate(header) is tenant


async def test_revoked_token_is_turned_away_at_no_door(
    redis: LinkedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, believer = Line(), make_authenticator()
    monkeypatch.setattr(line, "is_closed_to", lambda tenant: True)
    door = Door(line, believer, {PATH}, RequestMetrics({}))
    header = [(b"authorization", bearer(jti="a").encode())]
    answer = door.refusal(PATH.encode(), header, lambda: None)
    assert answer is not None
    assert answer.startswith(b"HTTP/1.1 503 ")
    await revoke_token(redis, "a", LATER)
    await believer.read_revocations(redis)
    assert door.refusal(PATH.encode(), header, lambda: None) is None  # the app has a 401 for it


async def test_nobody_is_admitted_before_the_revocations_are_known(redis: LinkedRedis) -> None:
    believer, looks = make_authenticator(), []

    async def look() -> None:
        looks.append(len(looks))
        if len(looks) == 1:
            raise RedisUnavailable("away")
        await believer.read_revocations(redis)

    believer.look_first = look
    await revoke_token(redis, "a", LATER)
    for refused in (RedisUnavailable, ApiError):
        with pytest.raises(refused):
            await believer.admit(bearer(jti="a"))
    assert (await believer.admit(bearer(jti="b"))).subject == "me"
    assert len(looks) == 2


@pytest.mark.real
async def test_nobody_is_admitted_where_they_cannot_be_read(real_redis_url: str) -> None:
    client: Redis = Redis.from_url(real_redis_url)
    await client.set(REVOKED, "x")
    believer = make_authenticator()

    async def look() -> None:
        redis = open_redis(real_redis_url)
        await believer.read_revocations(redis)
        await redis.aclose()

    believer.look_first = look
    with pytest.raises(ApiError, match="can't be read") as refused:
        await believer.admit(bearer())
    assert refused.value.status == 503
    await client.delete(REVOKED)
    assert (await believer.admit(bearer())).subject == "me"
    await client.aclose()
