"""What a token may be used for."""

from typing import Any

import pytest

from api.claim_values import InvalidClaim
from api.endpoints import ENDPOINTS
from api.errors import ApiError
from api.scopes import SCOPES, USUAL, check_scope, read_scopes
from testing.builders import make_chat
from testing.service import service


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({}, None),
        ({"scope": ""}, None),
        ({"scope": "openid profile email"}, None),
        ({"scope": "openid chat models"}, {"chat", "models"}),
        ({"scope": "read:orders"}, set()),
        ({"scope": "openid read:orders chat"}, {"chat"}),
        ({"scopes": []}, set()),
        ({"scopes": ["openid"]}, set()),
        ({"scopes": ["chat", "other"]}, {"chat"}),
        ({"scopes": ["chat", "admin"], "scope": "openid"}, {"chat", "admin"}),
        ({"scopes": ["chat", "admin"], "scope": "chat models"}, {"chat"}),
    ],
)
def test_claims_name_scopes(claims: dict[str, Any], scopes: set[str] | None) -> None:
    assert read_scopes(claims) == scopes


@pytest.mark.parametrize(
    "claims", [{"scope": ["chat"]}, {"scope": 1}, {"scopes": "chat"}, {"scopes": [1]}]
)
def test_claim_of_another_form_is_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(InvalidClaim, match=r"^`scopes?` must"):
        read_scopes(claims)


def test_token_without_scopes_is_for_all_but_the_admins() -> None:
    for scope in USUAL:
        check_scope(None, scope)
    for scope in ("admin", "metrics"):
        with pytest.raises(ApiError, match=f"needs the scope `{scope}`"):
            check_scope(None, scope)
        check_scope(frozenset({scope}), scope)


@pytest.mark.parametrize("row", ENDPOINTS, ids=lambda row: row.path)
def test_every_endpoint_refuses_a_token_that_lacks_its_scope(row: Any) -> None:
    others = [scope for scope in SCOPES if scope != row.scope]
    with service() as api:
        answer = api.chat(b"not even JSON", path=row.path, scopes=others)
        assert api.chat(b"not even JSON", path=row.path, scopes=[row.scope]).status_code == 400
    told = answer.json()["error"]
    assert (answer.status_code, told["code"]) == (403, "scope_not_allowed")
    assert told["type"] == "permission_error"
    assert f"needs the scope `{row.scope}`" in told["message"]
    assert f'scope="{row.scope}"' in answer.headers["WWW-Authenticate"]


def test_a_login_of_an_identity_provider_is_for_the_usual() -> None:
    with service() as api:
        assert api.chat(make_chat(), scope="openid email profile").status_code == 200
