"""`llamaq dashboard`, and the link that `llamaq up` prints."""

from pathlib import Path

import jwt
import pytest
from click.testing import CliRunner

from llamaq.__main__ import main
from testing.builders import SECRET


@pytest.fixture(autouse=True)
def _nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "PORT", "TLS_CERT", "JWT_SECRET", "REDIS_URL"):
        monkeypatch.delenv(f"LLAMAQ_{name}", raising=False)


def link(*arguments: str, **environment: str) -> tuple[str, str]:
    """The link without its token, and the token."""
    told = {"LLAMAQ_JWT_SECRET": SECRET, "LLAMAQ_REDIS_URL": "unix:///none"} | environment
    result = CliRunner().invoke(main, ["dashboard", *arguments], env=told)
    assert result.exit_code == 0, result.output
    assert "llamaq token list" in result.stderr
    url, _, token = result.stdout.strip().partition("#token=")
    return url, token


def test_link_has_a_short_token_for_admins_in_its_fragment() -> None:
    url, token = link("--ttl", "30m")
    assert url == "http://127.0.0.1:8484/dashboard"
    claims = jwt.decode(token, SECRET, algorithms=["HS256"])
    assert claims["scopes"] == ["admin", "chat", "models"]
    assert claims["exp"] - claims["iat"] == 1800
    assert claims["jti"]


def test_link_lasts_no_longer_than_tokens_may() -> None:
    _, token = link(LLAMAQ_JWT_LONGEST_LIFE_S="600")
    claims = jwt.decode(token, SECRET, algorithms=["HS256"])
    assert claims["exp"] - claims["iat"] == 600


@pytest.mark.parametrize(
    ("arguments", "environment", "url"),
    [
        (["--url", "https://llm.example/"], {}, "https://llm.example/dashboard"),
        ([], {"LLAMAQ_HOST": "::", "LLAMAQ_PORT": "9"}, "http://[::1]:9/dashboard"),
        ([], {"LLAMAQ_TLS_CERT": "/c.pem"}, "https://127.0.0.1:8484/dashboard"),
    ],
)
def test_link_leads_to_the_api(arguments: list[str], environment: dict[str, str], url: str) -> None:
    assert link(*arguments, **environment)[0] == url


def test_beside_up_it_leads_to_where_that_listens(tmp_path: Path) -> None:
    (tmp_path / "jwt_secret").write_text(SECRET)
    (tmp_path / "api_url").write_text("http://127.0.0.1:7777\n")
    result = CliRunner().invoke(main, ["dashboard", "--data-dir", str(tmp_path)])
    assert result.stdout.startswith("http://127.0.0.1:7777/dashboard#token=")


@pytest.mark.parametrize(
    ("jwks_url", "told"), [("https://idp.example/keys", "scope admin"), ("", "name its folder")]
)
def test_without_a_secret_it_says_what_to_do(jwks_url: str, told: str, tmp_path: Path) -> None:
    environment = {"LLAMAQ_JWKS_URL": jwks_url, "LLAMAQ_DATA_DIR": str(tmp_path)}
    result = CliRunner().invoke(main, ["dashboard"], env=environment)
    assert (result.exit_code, result.stdout) == (1, "")
    assert told in result.stderr
