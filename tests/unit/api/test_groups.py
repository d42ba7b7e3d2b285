"""What the groups of an identity provider get."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from api.claim_values import COUNTED
from api.groups import groups_of, read_groups, tenant_of
from api.scopes import SCOPES, USUAL
from api.tenant import Tenant, read_tenant
from api.token_settings import TokenSettings
from dispatcher.limits import Limits
from dispatcher.tier import Tier
from testing.builders import SECRET, make_authenticator, make_chat, make_settings
from testing.service import service
from testing.signers import private_key, public_pem, token_of

SAID: dict[str, Any] = {
    "staff": {"tier": "priority", "weight": 4, "limits": {"concurrent": 8}},
    "students": {
        "weight": 0.5,
        "models": ["tiny", "gpt-4o"],
        "scopes": ["chat", "models"],
        "limits": {"requests_per_minute": 10, "concurrent": 2},
    },
    "batch": {"tier": "flex", "models": ["big"], "scopes": ["embeddings"], "limits": {}},
    "operators": {"scopes": ["admin"]},
    "*": {"scopes": ["models"], "models": []},
}
GROUPS = read_groups(SAID)


def tenant(*, is_ours: bool = False, **claims: Any) -> Tenant:
    return tenant_of({"sub": "ann"} | claims, GROUPS, is_ours=is_ours)


@pytest.mark.parametrize(
    "claims",
    [
        {"groups": ["staff"]},
        {"roles": ["other", "staff"]},
        {"groups": "staff"},
        {"roles": "other, staff"},
        {"realm_access": {"roles": ["staff"]}},
        {"https://llamaq.example.org/roles": ["staff"]},
        {"groups": [1, None, ["x"], "staff"], "roles": 7, "realm_access": "x"},
    ],
)
def test_groups_are_found_wherever_providers_put_them(claims: dict[str, Any]) -> None:
    assert groups_of(claims) & set(GROUPS) == {"staff"}
    assert tenant(**claims) == Tenant(
        "ann", 4, Tier.PRIORITY, scopes=USUAL, limits=Limits(concurrent=8)
    )


def test_one_group_gets_what_it_is_granted() -> None:
    limits = Limits(requests_per_minute=10, concurrent=2, models=frozenset({"tiny", "gpt-4o"}))
    scopes = frozenset({"chat", "models"})
    assert tenant(groups=["students"]) == Tenant("ann", 0.5, scopes=scopes, limits=limits)


def test_several_groups_get_of_each_the_most() -> None:
    both = tenant(groups=["students", "batch"])
    assert both.limits == Limits(models=frozenset({"tiny", "gpt-4o", "big"}))
    assert both.scopes == {"chat", "models", "embeddings"}
    assert (both.tier, both.weight) == (Tier.DEFAULT, 1)
    assert tenant(groups=["students", "staff"]).limits == Limits(concurrent=8)
    assert tenant(groups=["staff", "operators"]).scopes == USUAL | {"admin"}


def test_claims_of_the_token_are_the_ceiling() -> None:
    bounded = tenant(
        groups=["staff", "operators"],
        tier="flex",
        weight=2,
        scopes=["chat", "audio"],
        models=["tiny"],
        limits={"concurrent": 4, "tokens_per_day": 9},
    )
    assert bounded == Tenant(
        "ann",
        2,
        Tier.FLEX,
        scopes=frozenset({"chat", "audio"}),
        models=frozenset({"tiny"}),
        limits=Limits(tokens_per_day=9, concurrent=4),
    )
    more = tenant(groups=["batch"], tier="priority", weight=1000, limits={"concurrent": 4})
    assert (more.tier, more.weight) == (Tier.FLEX, 1)
    assert tenant(groups=["students"], scope="openid email").scopes == {"chat", "models"}
    assert tenant(groups=["students"], scope="chat admin").scopes == {"chat"}


@given(
    st.fixed_dictionaries(
        {"groups": st.lists(st.sampled_from(["staff", "students", "batch", "operators"]))},
        optional={
            "weight": st.floats(0.001, 1000),
            "tier": st.sampled_from(list(Tier)),
            "scopes": st.lists(st.sampled_from(sorted(SCOPES))),
            "models": st.lists(st.sampled_from(["tiny", "big", "other"])),
            "limits": st.dictionaries(st.sampled_from(COUNTED), st.integers(0, 20)),
        },
    )
)
def test_nobody_gets_more_than_claims_and_groups_allow(claims: dict[str, Any]) -> None:
    got, alone = tenant(**claims), read_tenant({"sub": "ann", **claims})
    order = list(Tier)
    if "tier" in claims:
        assert order.index(got.tier) >= order.index(alone.tier)
    assert "weight" not in claims or got.weight <= alone.weight
    assert alone.scopes is None or (got.scopes or set()) <= alone.scopes
    assert set(alone.model_lists) <= set(got.model_lists)
    for name in COUNTED:
        most = getattr(alone.limits, name, 0)
        assert not most or 0 < getattr(got.limits, name) <= most
    if claims["groups"]:
        grants = [GROUPS[name] for name in claims["groups"]]
        assert got.weight <= max(grant.weight for grant in grants)
        assert order.index(got.tier) >= min(order.index(grant.tier) for grant in grants)
        assert got.scopes is not None
        assert got.scopes <= frozenset.union(*(grant.scopes for grant in grants))


def test_who_is_in_no_group_gets_what_everybody_gets() -> None:
    nobody = tenant(groups=["unheard of"])
    assert nobody.scopes == {"models"}
    assert nobody.model_lists == (frozenset(),)
    assert tenant(groups=["unheard of"], is_ours=True) == Tenant("ann")
    assert tenant(is_ours=True, groups=["staff"]).weight == 4
    assert tenant_of({"sub": "ann", "groups": ["x"]}, {}, is_ours=False) == Tenant("ann")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("[]", "must be an object"),
        ('{"a": 1}', "the group 'a' must be an object"),
        ('{"a": {"rank": 1}}', "some of"),
        ('{"a": {"tier": "auto"}}', "in the group 'a', `tier` must be one of"),
        ('{"a": {"weight": 0}}', "`weight` must"),
        ('{"a": {"models": "x"}}', "`models` must"),
        ('{"a": {"limits": {"rpm": 1}}}', "`limits` must"),
        ('{"a": {"scopes": ["caht"]}}', "`scopes` must"),
        ('{"a": {"scopes": "chat"}}', "`scopes` must"),
        ('{"a"', "is no JSON or TOML"),
        ("/nowhere/groups.toml", "can't read /nowhere"),
    ],
)
def test_bad_setting_is_told(said: str, told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TokenSettings(jwt_secret=SECRET, groups=said)
    assert told in str(caught.value)


def test_setting_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "groups.json").write_text(json.dumps(SAID))
    toml = '[staff]\ntier = "priority"\nweight = 4\nlimits = { concurrent = 8 }\n'
    (tmp_path / "groups.toml").write_text(toml)
    assert make_settings(groups=json.dumps(SAID)).token_values.groups == GROUPS
    assert make_settings(groups=f"{tmp_path}/groups.json").token_values.groups == GROUPS
    assert make_settings(groups=f"{tmp_path}/groups.toml").token_values.groups == {
        "staff": GROUPS["staff"]
    }


def test_documented_groups_are_read() -> None:
    page = Path(__file__).parents[3] / "docs" / "tokens.md"
    text = page.read_text().partition("```toml\n")[2].partition("```")[0]
    assert set(read_groups(tomllib.loads(text))) == {"staff", "students", "operators", "*"}


def test_api_heeds_the_groups_of_a_provider(tmp_path: Path) -> None:
    path, key = tmp_path / "key.pem", private_key("ES256")
    path.write_bytes(public_pem(key))
    students = SAID["students"] | {"limits": {}}  # no Redis counts here
    settings = {"jwt_keys": str(path), "groups": json.dumps({"students": students})}
    token = token_of("ES256", key, groups=["students"])
    header = {"Authorization": f"Bearer {token}"}
    assert make_authenticator(**settings).authenticate(f"Bearer {token}").weight == 0.5
    with service(**settings) as api:
        for model, status in (("tiny", 200), ("big", 403)):
            body = make_chat(model=model)
            answer = api.client.post("/v1/chat/completions", content=body, headers=header)
            assert answer.status_code == status
        answer = api.client.post("/v1/embeddings", content=b"{}", headers=header)
        assert answer.json()["error"]["code"] == "scope_not_allowed"
