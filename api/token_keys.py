"""The keys that verify tokens. Each is for one algorithm, which no token chooses: RFC 8725 §3.1."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

HS256, RS256, ES256, EDDSA = "HS256", "RS256", "ES256", "EdDSA"
PUBLIC = frozenset({RS256, ES256, EDDSA})
"""The algorithms whose keys are no secrets."""

MOST_KEYS = 64
_RSA_BITS = range(2048, 8193)
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.+?-----END \1-----", re.DOTALL)
_KINDS = {"RSA": RS256, "EC": ES256, "OKP": EDDSA}


class BadKey(ValueError):
    """What can verify no token; the message says why, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class TokenKey:
    """Verifies tokens of one algorithm. `kid` is its name, where it has one."""

    algorithm: str
    key: Any = field(repr=False)
    kid: str | None = None

    @property
    def is_secret(self) -> bool:
        """Whether it can sign tokens too."""
        return self.algorithm == HS256

    def is_named(self, kid: str | None) -> bool:
        """Whether a token whose header has this `kid` may be signed with it."""
        return kid is None or self.kid is None or self.kid == kid


def secret_key(secret: str) -> TokenKey:
    """That of a secret."""
    return TokenKey(HS256, secret.encode())


def read_pem(text: bytes) -> list[TokenKey]:
    """The public keys and certificates in a PEM file. Raises `BadKey`."""
    blocks = list(_PEM.finditer(text))
    if not blocks:
        raise BadKey("has no PEM in it: a public key begins with -----BEGIN PUBLIC KEY-----")
    return [_key_of_block(block[1].decode(), block[0]) for block in blocks]


def read_jwks(text: bytes) -> list[TokenKey]:
    """The keys of a JSON Web Key Set (RFC 7517) that may verify tokens.

    What is for something else, or of another kind, is left out. Raises `BadKey` where none is left.
    """
    try:
        said = json.loads(text)
        listed = said["keys"]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise BadKey("is no JSON Web Key Set") from None
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise BadKey(f"is no JSON Web Key Set of up to {MOST_KEYS} keys")
    keys = [key for key in map(_key_of_jwk, listed) if key is not None]
    if not keys:
        raise BadKey(f"has no key for {', '.join(sorted(PUBLIC))}")
    return keys


def _key_of_block(label: str, pem: bytes) -> TokenKey:
    if "PRIVATE" in label:
        raise BadKey("has a private key: give only the public one (openssl pkey -pubout)")
    try:
        if label == "CERTIFICATE":
            return _bound(load_pem_x509_certificate(pem).public_key())
        return _bound(load_pem_public_key(pem))
    except (ValueError, UnsupportedAlgorithm) as error:
        if isinstance(error, BadKey):
            raise
        raise BadKey("has a key that can't be read") from error


def _bound(key: Any, kid: str | None = None) -> TokenKey:
    if isinstance(key, RSAPublicKey) and key.key_size in _RSA_BITS:
        return TokenKey(RS256, key, kid)
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return TokenKey(ES256, key, kid)
    if isinstance(key, Ed25519PublicKey):
        return TokenKey(EDDSA, key, kid)
    raise BadKey("has a key that is neither RSA of 2048 to 8192 bits, nor EC P-256, nor Ed25519")


def _key_of_jwk(said: Any) -> TokenKey | None:
    if not isinstance(said, dict) or not _is_for_tokens(said):
        return None
    try:
        key = jwt.PyJWK(said, _KINDS[said["kty"]]).key
        return _bound(key, said.get("kid"))
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        return None


def _is_for_tokens(said: Mapping[str, Any]) -> bool:
    """Whether it is for signatures of its kind's one algorithm."""
    kind, kid = said.get("kty"), said.get("kid")
    algorithm = _KINDS.get(kind) if isinstance(kind, str) else None
    operations = said.get("key_ops", ["verify"])
    is_to_verify = isinstance(operations, list) and "verify" in operations
    is_named_well = kid is None or isinstance(kid, str)
    is_of_its_kind = said.get("use", "sig") == "sig" and said.get("alg", algorithm) == algorithm
    return algorithm is not None and is_to_verify and is_named_well and is_of_its_kind


def algorithms_of(keys: Sequence[TokenKey]) -> list[str]:
    """The algorithms that these keys are for, in order."""
    return sorted({key.algorithm for key in keys})
