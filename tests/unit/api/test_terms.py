"""Whom a request is for, how urgent it is, and what it replaces."""

from typing import Any

import pytest
from starlette.datastructures import Headers

from api.errors import ApiError
from api.tenant import Tenant
from api.terms import Terms, read_terms
from dispatcher.tier import Tier

ADA = Tenant("ada")
WEBUI = Tenant("webui", delegate=True)


def terms(tenant: Tenant, headers: dict[str, str] | None = None, **fields: Any) -> Terms:
    return read_terms(tenant, Headers(headers or {}), fields)


def refusal(tenant: Tenant, headers: dict[str, str] | None = None, **fields: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        terms(tenant, headers, **fields)
    assert caught.value.status == 400
    return caught.value


@pytest.mark.parametrize(
    ("headers", "fields", "user"),
    [
        ({}, {}, ""),
        ({}, {"user": "u1"}, "u1"),
        ({"X-OpenWebUI-User-Id": "u2"}, {"user": "u1"}, "u2"),
        ({"x-openwebui-user-id": " u2 "}, {}, "u2"),
        ({"X-OpenWebUI-User-Id": " "}, {"user": "u1"}, "u1"),
        ({}, {"user": "x" * 256}, "x" * 256),
        ({}, {"user": {"name": "Ada", "id": "u1", "email": "a@b", "role": "user"}}, "u1"),
    ],
)
def test_end_user_is_named_by_the_header_or_else_by_the_body(
    headers: dict[str, str], fields: dict[str, Any], user: str
) -> None:
    assert terms(WEBUI, headers, **fields).user == user


@pytest.mark.parametrize("user", ["u1", "x" * 257, 3, {}])
def test_end_user_is_ignored_without_the_right_to_name_one(user: Any) -> None:
    found = terms(ADA, {"X-OpenWebUI-User-Id": "u2"}, user=user)
    assert (found.user, found.ignored) == ("", ("user",))
    assert terms(WEBUI, user="u1").ignored == ()


@pytest.mark.parametrize("user", ["x" * 257, 3, ["u1"], {}, {"id": 3}, {"id": "x" * 257}])
def test_bad_end_user_is_refused(user: Any) -> None:
    assert refusal(WEBUI, user=user).param == "user"


def test_too_long_an_end_user_in_the_header_is_refused() -> None:
    error = refusal(WEBUI, {"X-OpenWebUI-User-Id": "x" * 257})
    assert error.param == "X-OpenWebUI-User-Id"
    assert "256" in error.message


@pytest.mark.parametrize(
    ("cap", "asked", "tier"),
    [
        ("default", "auto", "default"),
        ("default", "default", "default"),
        ("default", "priority", "default"),
        ("default", "flex", "flex"),
        ("priority", "auto", "priority"),
        ("priority", "default", "default"),
        ("priority", "priority", "priority"),
        ("flex", "priority", "flex"),
        ("flex", "auto", "flex"),
    ],
)
def test_tier_is_the_asked_one_up_to_what_the_token_allows(cap: str, asked: str, tier: str) -> None:
    assert terms(Tenant("ada", tier=Tier(cap)), service_tier=asked).tier == Tier(tier)


def test_tier_not_asked_for_is_the_tokens() -> None:
    assert terms(Tenant("ada", tier=Tier.PRIORITY)).tier is Tier.PRIORITY


@pytest.mark.parametrize("asked", ["", "scale", "PRIORITY", 1, True, ["flex"], {}])
def test_other_tier_is_taken_for_auto_and_named(asked: Any) -> None:
    found = terms(Tenant("ada", tier=Tier.PRIORITY), service_tier=asked)
    assert (found.tier, found.ignored) == (Tier.PRIORITY, ("service_tier",))
    assert terms(ADA, service_tier="flex").ignored == ()


def test_choices_of_a_request_have_keys_of_their_own() -> None:
    keyed = terms(ADA, {"X-Llamaq-Supersede": "tab-7"})
    assert [keyed.key_of(choice) for choice in range(2)] == ["0:tab-7", "1:tab-7"]
    assert [terms(ADA).key_of(choice) for choice in range(2)] == ["", ""]


@pytest.mark.parametrize("key", ["", "x" * 129, "tab\t7", "täb"])
def test_bad_key_is_refused_with_what_to_do(key: str) -> None:
    error = refusal(ADA, {"x-llamaq-supersede": key})
    assert "printable ASCII" in error.message
    assert "leave the header out" in error.message
