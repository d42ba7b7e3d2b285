"""Whatever is in a token that is validly signed: it names a tenant, or gets a 401 that helps."""

import base64
import hmac
import json
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.errors import ApiError
from api.tenant import Tenant
from dispatcher.job import tenant_key
from testing.builders import SECRET, make_authenticator, make_token
from testing.service import service

SURROGATES = st.text(st.characters(exclude_categories=()), max_size=8)
ODD = st.one_of(
    *(st.none(), st.booleans(), SURROGATES, st.floats(), st.integers()),
    st.sampled_from([-1e15, 1e15, 10**400, -(10**400), "1e400", "now", float("nan")]),
    st.lists(st.integers() | SURROGATES, max_size=3),
    st.dictionaries(SURROGATES, st.integers(), max_size=2),
)
NAMES = (
    *("exp", "nbf", "iat", "sub", "aud", "iss", "jti", "weight", "tier", "delegate"),
    *("scope", "scopes", "models", "limits", "groups", "roles", "realm_access", "urn:x/groups"),
)
CLAIMS = st.dictionaries(st.sampled_from(NAMES), ODD, max_size=5)
GROUPS = '{"a": {"weight": 2, "models": ["m"]}, "*": {"scopes": []}}'
HEADERS = st.dictionaries(st.sampled_from(["kid", "typ", "alg", "crit", "b64", "jwk"]), ODD)
SETTINGS = st.sampled_from(
    [{"groups": GROUPS}, {"jwt_audience": "llamaq"}, {"jwt_issuer": "home", "groups": GROUPS}]
)


def sign(claims: str, header: dict[str, Any]) -> str:
    """A token of this text, which PyJWT would not make."""
    parts = [json.dumps({"alg": "HS256", "typ": "JWT"} | header), claims]
    signed = b".".join(base64.urlsafe_b64encode(part.encode()).rstrip(b"=") for part in parts)
    mac = hmac.digest(SECRET.encode(), signed, "sha256")
    return (signed + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


def advice(token: str, **settings: str) -> str:
    """Of the 401; empty where there is none."""
    try:
        tenant = make_authenticator(**settings).authenticate(f"Bearer {token}")
    except ApiError as error:
        refusal = error
    else:
        tenant_key(tenant.subject)
        return ""
    assert refusal.status == 401
    refusal.message.encode()
    return refusal.message


@given(CLAIMS, HEADERS, SETTINGS)
@example({"exp": -1e15}, {}, {})
@example({"sub": "\ud800"}, {}, {})
@example({"groups": ["\ud800", "a"]}, {}, {"groups": GROUPS})
@example({"exp": 1, "aud": "elsewhere"}, {}, {"jwt_audience": "llamaq"})
def test_no_claim_and_no_header_is_a_crash(
    claims: dict[str, Any], header: dict[str, Any], settings: dict[str, str]
) -> None:
    advice(
        sign(json.dumps({"sub": "me", "exp": int(time.time()) + 99} | claims), header), **settings
    )


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ('{"sub":"me","exp":1e400}', "`exp` must"),
        ('{"sub":"me","exp":-1e15}', "`exp` must"),
        ('{"sub":"me","exp":NaN}', "`exp` must"),
        ('{"sub":"me","exp":true}', "`exp` must"),
        ('{"sub":"me","exp":' + "9" * 400 + "}", "`exp` must"),
        ('{"sub":"me","exp":' + "9" * 5000 + "}", "not a JSON Web Token"),
        ('{"sub":"me","exp":9999999999,"nbf":Infinity}', "`nbf` must"),
        ('{"sub":"me","exp":9999999999,"iat":[]}', "`iat` must"),
        ('{"sub":"\\ud800","exp":9999999999}', "`sub` must"),
        ('{"sub":7,"exp":9999999999}', "`sub` must"),
        ('{"sub":"me","exp":1,"aud":["x",1]}', "expired at 1970-01-01"),
        ('{"sub":"me","exp":9999999999,"a":' + "[" * 20000 + "]" * 20000 + "}", "not a JSON"),
        ('["sub"]', "not a JSON Web Token"),
    ],
)
def test_advice_names_what_is_wrong(claims: str, said: str) -> None:
    """At d26fdb4 an expired token for another audience was a 500, as were others."""
    assert said in advice(sign(claims, {}))


@pytest.mark.parametrize(
    "header", [b"Bearer \xff\xfe", b"\xa0Bearer x", b"Bearer " + b"\xc3.\xa9."]
)
def test_header_of_odd_bytes_is_refused(header: bytes) -> None:
    with service() as running:
        url = "/v1/chat/completions"
        response = running.client.post(url, content=b"{}", headers={b"Authorization": header})
    assert response.status_code == 401


def test_weight_has_a_least_value() -> None:
    """At d26fdb4 (M2) a weight of 1e-308 ended every bridge of the model, again and again."""
    assert "from 0.001 to 1000" in advice(make_token(weight=1e-308))
    header = f"Bearer {make_token(weight=0.001)}"
    assert make_authenticator().authenticate(header) == Tenant("me", 0.001)
