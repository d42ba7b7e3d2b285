"""Keys of each kind that tokens are signed with, made once, and tokens that they have signed."""

import base64
import hmac
import json
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization import PublicFormat as Public

ALGORITHMS = "RS256", "ES256", "EdDSA"


@cache
def private_key(algorithm: str, name: str = "ours") -> Any:
    """One of its own for each name."""
    if algorithm == "RS256":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else _ed25519()


def _ed25519() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def public_pem(key: Any) -> bytes:
    """The public half of a private key."""
    found: bytes = key.public_key().public_bytes(Encoding.PEM, Public.SubjectPublicKeyInfo)
    return found


def private_pem(key: Any) -> bytes:
    """The key itself."""
    found: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return found


def public_jwk(algorithm: str, key: Any, **more: Any) -> dict[str, Any]:
    """Its public half as an identity provider shows it."""
    said = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    return {name: value for name, value in said.items() if name != "key_ops"} | more


def key_set(*jwks: Mapping[str, Any]) -> bytes:
    """What is at a JWKS URL."""
    return json.dumps({"keys": jwks}).encode()


def claims(**more: Any) -> dict[str, Any]:
    """Of a good token for `me`; one given as None is left out."""
    now = int(time.time())
    whole = {"sub": "me", "iat": now, "exp": now + 3600, **more}
    return {name: value for name, value in whole.items() if value is not None}


def token_of(algorithm: str, key: Any, header: Mapping[str, Any] | None = None, **more: Any) -> str:
    """A token that PyJWT signs."""
    return jwt.encode(claims(**more), key, algorithm=algorithm, headers=dict(header or {}))


def encoded(part: Any) -> bytes:
    """A part of a token: bytes as they are, all else as JSON."""
    data = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def raw_token(header: Any, payload: Any, signature: bytes = b"") -> str:
    """A token of these parts, which PyJWT might not make."""
    return b".".join([encoded(header), encoded(payload), encoded(signature)]).decode()


def hmac_token(header: Any, payload: Any, secret: bytes, digest: str = "sha256") -> str:
    """A token of these parts with an HMAC."""
    text = encoded(header) + b"." + encoded(payload)
    return raw_token(header, payload, hmac.digest(secret, text, digest))
