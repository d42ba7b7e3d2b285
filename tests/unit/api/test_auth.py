import base64
import json
import time
from collections.abc import Callable
from datetime import datetime, tzinfo

import jwt
import pytest

from api.auth import MAX_KNOWN_TOKENS, Authenticator
from api.errors import ApiError
from api.new_token import create_token
from api.tenant import Tenant
from api.token_check import LEEWAY_S
from dispatcher.tier import Tier
from testing.builders import SECRET, make_authenticator, make_settings, make_token

HOUR = 3600


def refusal(header: str | None, **settings: str) -> ApiError:
    with pytest.raises(ApiError) as caught:
        make_authenticator(**settings).authenticate(header)
    assert caught.value.status == 401
    return caught.value


def unsigned_token() -> str:
    parts = {"alg": "none", "typ": "JWT"}, {"sub": "me", "exp": int(time.time()) + HOUR}
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts]
    return b".".join([*encoded, b""]).decode()


class ClockOfTime(datetime):
    """PyJWT's clock, made to follow `time.time`."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime.fromtimestamp(time.time(), tz)


def test_valid_token_names_its_tenant() -> None:
    tenant = make_authenticator().authenticate(f"Bearer {make_token(sub='ada')}")
    assert tenant == Tenant("ada")


def test_scheme_is_case_insensitive() -> None:
    assert make_authenticator().authenticate(f"bearer {make_token()}") == Tenant("me")


@pytest.mark.parametrize("header", [None, "", " ", "Basic bWU6cHc=", "Bearer", "Bearer "])
def test_no_bearer_token_is_answered_with_the_form_and_a_bare_challenge(header: str | None) -> None:
    error = refusal(header)
    assert "Bearer <token>" in error.message
    assert error.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("token", "advice"),
    [
        (lambda: "not.a.token", "not a JSON Web Token"),
        (lambda: "nonsense", "not a JSON Web Token"),
        (lambda: make_token(secret="another secret of enough bytes!!"), "another secret"),
        (lambda: make_token(secret=SECRET * 2, algorithm="HS512"), "signed with HS256"),
        (unsigned_token, "signed with HS256"),
        (lambda: make_token(exp=None), "`exp`"),
        (lambda: make_token(sub=None), "`sub`"),
        (lambda: make_token(sub="  "), "`sub`"),
        (lambda: make_token(sub="x" * 257), "`sub`"),
        (lambda: make_token(nbf=int(time.time()) + HOUR), "not valid yet"),
        (lambda: make_token(aud="elsewhere"), "without `aud`"),
        (lambda: make_token(weight="2"), "`weight`"),
        (lambda: make_token(tier="auto"), "priority, default, flex: ask for a new token"),
        (lambda: make_token(delegate=1), "`delegate`"),
    ],
)
def test_bad_token_is_refused_with_advice(token: Callable[[], str], advice: str) -> None:
    error = refusal(f"Bearer {token()}")
    assert advice in error.message
    assert error.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_expired_token_tells_when() -> None:
    assert "2001-09-09 01:46:40 UTC" in refusal(f"Bearer {make_token(exp=10**9)}").message


def test_clocks_may_differ_by_the_leeway() -> None:
    token = make_token(exp=int(time.time()) - LEEWAY_S + 5)
    assert make_authenticator().authenticate(f"Bearer {token}") == Tenant("me")


@pytest.mark.parametrize("audience", [None, "elsewhere", ["one", "two"]])
def test_audience_must_be_named(audience: str | None) -> None:
    error = refusal(f"Bearer {make_token(aud=audience)}", jwt_audience="llamaq")
    assert "aud" in error.message


@pytest.mark.parametrize("issuer", [None, "elsewhere"])
def test_issuer_must_be_named(issuer: str | None) -> None:
    assert "iss" in refusal(f"Bearer {make_token(iss=issuer)}", jwt_issuer="home").message


@pytest.mark.parametrize(
    ("later_s", "advice"), [(HOUR + LEEWAY_S + 1, "expired"), (-LEEWAY_S - 1, "not valid yet")]
)
def test_a_token_that_was_believed_is_refused_when_its_time_is_not_there(
    monkeypatch: pytest.MonkeyPatch, later_s: int, advice: str
) -> None:
    now = int(time.time())
    header = f"Bearer {make_token(nbf=now, exp=now + HOUR)}"
    authenticator = make_authenticator()
    authenticator.authenticate(header)
    monkeypatch.setattr(time, "time", lambda: now + later_s)
    monkeypatch.setattr("jwt.api_jwt.datetime", ClockOfTime)
    with pytest.raises(ApiError, match=advice):
        authenticator.authenticate(header)


def test_a_token_that_was_verified_is_not_verified_again(monkeypatch: pytest.MonkeyPatch) -> None:
    authenticator, header = make_authenticator(), f"Bearer {make_token()}"
    tenant = authenticator.authenticate(header)
    monkeypatch.setattr(jwt, "decode", None)
    assert authenticator.authenticate(header) is tenant


def test_few_tokens_are_remembered_and_none_as_it_is() -> None:
    authenticator = make_authenticator()
    for number in range(MAX_KNOWN_TOKENS + 1):
        authenticator.authenticate(f"Bearer {make_token(sub=str(number))}")
    assert len(authenticator._known) == 1
    assert all(len(name) == 32 for name in authenticator._known)


def test_created_token_is_accepted_and_unique() -> None:
    settings = make_settings(jwt_audience="llamaq", jwt_issuer="home")
    tokens = [create_token(SECRET, Tenant("ada"), HOUR, "llamaq", "home") for _ in range(2)]
    assert Authenticator(settings.token_values).authenticate(f"Bearer {tokens[0]}") == Tenant("ada")
    assert len({jwt.decode(t, options={"verify_signature": False})["jti"] for t in tokens}) == 2


def test_created_token_carries_what_its_tenant_may() -> None:
    tenant = Tenant("ada", weight=2.5, tier=Tier.PRIORITY, delegate=True)
    token = create_token(SECRET, tenant, HOUR)
    assert make_authenticator().authenticate(f"Bearer {token}") == tenant
