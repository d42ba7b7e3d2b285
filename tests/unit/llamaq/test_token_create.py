"""`llamaq token create`: what its options put into a token."""

import jwt
import pytest
from click.testing import CliRunner, Result

from api.tenant import Tenant
from dispatcher.tier import Tier
from llamaq.__main__ import main
from testing.builders import SECRET, make_authenticator


def create(*arguments: str) -> Result:
    environment = {"LLAMAQ_JWT_SECRET": SECRET, "LLAMAQ_DATA_DIR": "/nowhere"}
    return CliRunner().invoke(main, ["token", "create", *arguments], env=environment)


def test_options_become_claims() -> None:
    result = create("ada", "--weight", "2.5", "--tier", "flex", "--delegate")
    tenant = make_authenticator().authenticate(f"Bearer {result.stdout}")
    assert tenant == Tenant("ada", 2.5, Tier.FLEX, delegate=True)


def test_defaults_make_no_claim() -> None:
    claims = jwt.decode(create("ada").stdout.strip(), options={"verify_signature": False})
    assert set(claims) == {"sub", "iat", "exp", "jti"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ada", "--weight", "0"], "from 0.001 to 1000"),
        (["ada", "--weight", "nan"], "from 0.001 to 1000"),
        (["ada", "--weight", "1001"], "from 0.001 to 1000"),
        (["ada", "--weight", "much"], "--weight"),
        (["ada", "--tier", "auto"], "flex"),
        (["x" * 257], "256 characters"),
        (["  "], "256 characters"),
    ],
)
def test_wrong_value_is_told(arguments: list[str], said: str) -> None:
    result = create(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not result.stdout
