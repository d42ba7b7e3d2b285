"""Which keys verify tokens, and each for which algorithm."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from api.auth import Authenticator
from api.errors import ApiError
from api.tenant import Tenant
from api.token_keys import BadKey, read_jwks, read_pem
from api.token_settings import TokenSettings
from testing.builders import SECRET, make_authenticator, make_settings, make_token
from testing.signers import (
    ALGORITHMS,
    key_set,
    private_key,
    private_pem,
    public_jwk,
    public_pem,
    token_of,
)

OLD = "an old secret that is long enough for HS256"


def problem(**settings: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        TokenSettings(**settings)
    return str(caught.value)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_token_of_a_key_in_a_file_is_believed(tmp_path: Path, algorithm: str) -> None:
    ours, other = private_key(algorithm), private_key(algorithm, "other")
    (tmp_path / "a.pem").write_bytes(b"# ours\n" + public_pem(ours) + b"\n" + public_pem(other))
    settings = TokenSettings(jwt_keys=f"{tmp_path}/a.pem,", jwt_secret="")
    for key in (ours, other):
        token = token_of(algorithm, key, {"kid": "any"}, sub="ann")
        assert Authenticator(settings.token_values).authenticate(f"Bearer {token}") == Tenant("ann")
    with pytest.raises(ApiError, match=f"signed with {algorithm}"):
        Authenticator(settings.token_values).authenticate(f"Bearer {make_token()}")
    token = token_of(algorithm, private_key(algorithm, "third"))
    with pytest.raises(ApiError, match="signed with another key"):
        Authenticator(settings.token_values).authenticate(f"Bearer {token}")


def test_certificate_is_a_key() -> None:
    key = private_key("ES256")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    now = datetime.now(UTC)
    ends = now + timedelta(1)
    signed = x509.CertificateBuilder(name, name, key.public_key(), 1, now, ends).sign(key, SHA256())
    assert [key.algorithm for key in read_pem(signed.public_bytes(Encoding.PEM))] == ["ES256"]


@pytest.mark.parametrize(
    ("pem", "said"),
    [
        (b"", "has no PEM"),
        (b"ssh-rsa AAAA", "has no PEM"),
        (lambda: private_pem(private_key("RS256")), "give only the public one"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "can't be read"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "can't be read"),
        (lambda: public_pem(rsa.generate_private_key(65537, 1024)), "neither RSA of 2048"),  # noqa: S505
        (lambda: public_pem(ec.generate_private_key(ec.SECP384R1())), "nor EC P-256"),
        (lambda: public_pem(ec.generate_private_key(ec.SECP256K1())), "nor EC P-256"),
        (lambda: public_pem(ed448.Ed448PrivateKey.generate()), "nor Ed25519"),
        (lambda: public_pem(x25519.X25519PrivateKey.generate()), "nor Ed25519"),
    ],
)
def test_file_that_has_another_key_is_refused_at_the_start(
    tmp_path: Path, pem: Any, said: str
) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(pem() if callable(pem) else pem)
    with pytest.raises(BadKey, match=said):
        read_pem(path.read_bytes())
    assert f"{path} has" in problem(jwt_keys=str(path))


def test_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert "can't read" in problem(jwt_keys=f"{tmp_path}/none.pem", jwt_secret=SECRET)


def test_what_is_no_key_for_tokens_is_left_out_of_a_set() -> None:
    keys = {name: private_key(name) for name in ALGORITHMS}
    good = [public_jwk(name, key, kid=name, use="sig", alg=name) for name, key in keys.items()]
    rsa_key, p256 = good[0], good[1]
    private = jwt.get_algorithm_by_name("RS256").to_jwk(keys["RS256"], as_dict=True)
    bad = [
        {name: value for name, value in private.items() if name != "key_ops"},
        *("x", None, {}, {"kty": []}, {"kty": "oct", "k": "AAAA", "kid": "a"}),
        *(rsa_key | {"use": "enc"}, rsa_key | {"alg": "PS256"}, rsa_key | {"alg": "HS256"}),
        *(
            rsa_key | {"d": "AAAA"},
            rsa_key | {"n": "AQAB"},
            rsa_key | {"n": 7},
            rsa_key | {"kid": 1},
        ),
        *(rsa_key | {"key_ops": ["sign"]}, p256 | {"crv": "P-384"}, p256 | {"x": "AAAA"}),
        *(p256 | {"crv": None}, {"kty": "OKP", "crv": "X25519", "x": "AAAA"}),
    ]
    found = read_jwks(key_set(*bad, *good))
    assert [(key.kid, key.algorithm) for key in found] == [(name, name) for name in ALGORITHMS]
    with pytest.raises(BadKey, match="has no key for ES256, EdDSA, RS256"):
        read_jwks(key_set(*bad))


@pytest.mark.parametrize(
    "text", [b"", b"<html>", b"[]", b"{}", b'{"keys": 1}', b"[" * 9999, key_set(*[{}] * 65)]
)
def test_what_is_no_set_is_told(text: bytes) -> None:
    with pytest.raises(BadKey, match="no JSON Web Key Set"):
        read_jwks(text)


@pytest.mark.parametrize("listed", [OLD, f"{'x' * 32},{OLD}", f"{'x,' * 20}\n{OLD}"])
def test_tokens_of_old_secrets_are_believed(listed: str) -> None:
    settings = make_settings(jwt_old_secrets=listed)
    for secret in (SECRET, OLD):
        header = f"Bearer {make_token(secret=secret)}"
        assert Authenticator(settings.token_values).authenticate(header) == Tenant("me")
    with pytest.raises(ApiError, match="another secret"):
        make_authenticator().authenticate(f"Bearer {make_token(secret=OLD)}")


def test_a_secret_is_needed_where_there_is_no_key() -> None:
    assert "openssl rand -hex 32" in problem()
    url = "https://login.example.org/keys"
    assert TokenSettings(jwks_url=url).token_values.secrets == []
    assert "32 bytes" in problem(jwks_url=url, jwt_secret="short")
    assert "32 bytes" in problem(jwt_secret=SECRET, jwt_old_secrets=f"{OLD},short")
    assert OLD not in problem(jwt_secret=SECRET, jwt_old_secrets=f"{OLD},short")
    assert "16 secrets" in problem(jwt_secret=SECRET, jwt_old_secrets=",".join([OLD] * 17))


@pytest.mark.parametrize("name", ["jwt_secret", "jwt_old_secrets"])
def test_a_public_key_is_no_secret(name: str) -> None:
    pem = public_pem(private_key("ES256")).decode().replace("\n", " ")
    assert "LLAMAQ_JWT_KEYS" in problem(**{"jwt_secret": SECRET, name: pem})


@pytest.mark.parametrize(
    ("url", "is_good"),
    [
        ("https://login.example.org/realms/x/protocol/openid-connect/certs", True),
        ("http://127.0.0.1:8080/jwks", True),
        ("http://[::1]/jwks", True),
        ("http://localhost/jwks", True),
        ("http://login.example.org/jwks", False),
        ("http://127.0.0.1.example.org/jwks", False),
        ("https://user:pw@login.example.org/jwks", False),
        ("file:///etc/passwd", False),
        ("https://", False),
        ("jwks.json", False),
    ],
)
def test_keys_come_from_an_address_that_nobody_can_forge(url: str, is_good: bool) -> None:
    if is_good:
        assert TokenSettings(jwks_url=url).jwks_url == url
    else:
        assert "jwks_url" in problem(jwks_url=url)


def test_longest_life_needs_a_beginning() -> None:
    """At d26fdb4 (M8) a token lasted for as long as it said."""
    bounded = make_authenticator(jwt_longest_life_s=3700)
    key = SECRET.encode()
    assert bounded.authenticate(f"Bearer {token_of('HS256', key)}") == Tenant("me")
    for changes, said in (({"iat": None}, "no `iat`"), ({"exp": 9999999999}, "lasts for longer")):
        with pytest.raises(ApiError, match=said):
            bounded.authenticate(f"Bearer {token_of('HS256', key, **changes)}")
