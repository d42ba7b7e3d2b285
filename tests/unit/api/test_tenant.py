"""What the claims of a token say of its tenant."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.claim_values import InvalidClaim
from api.scopes import SCOPES
from api.tenant import Tenant, read_tenant
from dispatcher.limits import Limits
from dispatcher.tier import Tier

TENANTS = st.builds(
    Tenant,
    st.text(min_size=1, max_size=256).filter(str.strip),
    st.integers(1, 1000) | st.floats(0.001, 1000),
    st.sampled_from(Tier),
    st.booleans(),
    st.none() | st.sets(st.sampled_from(list(SCOPES))).map(frozenset),
    st.none() | st.sets(st.sampled_from(["a", "b", "org/c d"])).map(frozenset),
    st.none() | st.builds(Limits, st.integers(1, 9), st.integers(0, 9), concurrent=st.just(4)),
)


def test_plain_token_has_weight_one_and_the_default_tier_and_speaks_for_itself() -> None:
    assert read_tenant({"sub": "ada"}) == Tenant("ada", 1, Tier.DEFAULT, delegate=False)


@given(TENANTS)
def test_claims_are_read_as_they_were_made(tenant: Tenant) -> None:
    assert read_tenant(json.loads(json.dumps(tenant.claims()))) == tenant


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("sub", ""),
        ("sub", "  "),
        ("sub", "x" * 257),
        ("weight", 0),
        ("weight", 0.0009),
        ("weight", 1e-308),
        ("sub", "\ud800"),
        ("sub", 7),
        ("weight", -1),
        ("weight", 1000.5),
        ("weight", float("nan")),
        ("weight", float("inf")),
        ("weight", True),
        ("weight", "2"),
        ("weight", None),
        ("tier", "auto"),
        ("tier", "PRIORITY"),
        ("tier", ["flex"]),
        ("tier", None),
        ("delegate", "yes"),
        ("delegate", 1),
        ("delegate", None),
        ("models", "qwen3"),
        ("models", [""]),
        ("models", ["a\n"]),
        ("models", [7]),
        ("models", ["x"] * 257),
        ("models", None),
        ("limits", 60),
        ("limits", {"rpm": 60}),
        ("limits", {"concurrent": -1}),
        ("limits", {"concurrent": True}),
        ("limits", {"concurrent": 1.5}),
        ("limits", {"concurrent": 10**16}),
        ("scope", ["chat"]),
        ("scopes", "chat"),
    ],
)
def test_claim_of_a_wrong_value_is_named(claim: str, value: Any) -> None:
    with pytest.raises(InvalidClaim, match=f"^`{claim}` must"):
        read_tenant({"sub": "ada", claim: value})
