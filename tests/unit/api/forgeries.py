"""Tokens that nobody with a key of ours has signed, or whose header asks for something odd.

Each generator yields what the trick is, and a token that does it.
"""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from testing.builders import SECRET
from testing.signers import (
    ALGORITHMS,
    claims,
    encoded,
    hmac_token,
    private_key,
    public_jwk,
    public_pem,
    raw_token,
    token_of,
)

Forged = Iterator[tuple[str, str]]

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
KIDS: tuple[Any, ...] = (
    *(
        "../../../../dev/null",
        "/dev/null",
        "/proc/sys/kernel/randomize_va_space",
        "file:///dev/null",
    ),
    *("' UNION SELECT '", "x' OR '1'='1", "1; DROP TABLE keys", "https://evil.example/jwks.json"),
    *("http://127.0.0.1/", "`id`", "$(id)", "a\x00b", "\r\nX: y", "x" * 20_000, "", "-1", "jwk0"),
    *(None, 0, True, [], ["a"], {}, {"a": "b"}, 1.5),
)
ALGS: tuple[Any, ...] = (
    *("none", "None", "NONE", "nOnE", "none ", "\x00none", "", " ", "hs256", "HS256 ", "HS256\x00"),
    *("HS1", "HS384", "HS512", "RS1", "RSA", "ES256K", "ed25519", "HS256,none", "dir", "A128KW"),
    *(None, 0, True, [], ["HS256"], {}, {"HS256": 1}, -1),
)


def public_as_secret() -> Forged:
    """What is public of our keys, taken for the secret of an HMAC (CVE-2015-9235)."""
    for kind in ALGORITHMS:
        key = private_key(kind)
        pem, jwk = public_pem(key), public_jwk(kind, key)
        der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        guesses = {
            **{
                "pem": pem,
                "pem without its end": pem.rstrip(),
                "pem with CR": pem.replace(b"\n", b"\r\n"),
            },
            **{"der": der, "base64": base64.b64encode(der), "jwk": json.dumps(jwk).encode()},
            "number": jwk.get("n", jwk.get("x", "")).encode(),
        }
        for name, guess in guesses.items():
            for digest in ("256", "384", "512"):
                header = {"alg": f"HS{digest}", "typ": "JWT"}
                yield (
                    f"{kind} {name} HS{digest}",
                    hmac_token(header, claims(), guess, f"sha{digest}"),
                )


def odd_algorithms() -> Forged:
    """No signature, or a good one, under a header that says another algorithm."""
    for algorithm in ALGS:
        header = {"alg": algorithm, "typ": "JWT"}
        yield f"alg {algorithm!r}, no signature", raw_token(header, claims())
        yield f"alg {algorithm!r}, signed", hmac_token(header, claims(), SECRET.encode())
    yield "no alg", hmac_token({"typ": "JWT"}, claims(), SECRET.encode())


def other_labels() -> Forged:
    """Signed with a key of ours, under a header that names another kind of key."""
    for kind in ALGORITHMS:
        _, payload, signature = token_of(kind, private_key(kind)).split(".")
        for label in {"HS256", *ALGORITHMS, "RS384", "PS256", "ES512", "none"} - {kind}:
            header = encoded({"alg": label, "typ": "JWT"}).decode()
            yield f"{kind} as {label}", f"{header}.{payload}.{signature}"
            text = f"{header}.{payload}"
            again = jwt.get_algorithm_by_name(kind).sign(text.encode(), private_key(kind))
            yield f"{kind} signs {label}", f"{text}.{encoded(again).decode()}"


def other_algorithms_of_our_keys() -> Forged:
    """What our keys can sign too, and what is not said to be theirs."""
    for algorithm in ("RS384", "RS512", "PS256", "PS384", "PS512"):
        yield algorithm, token_of(algorithm, private_key("RS256"))
    for digest in ("384", "512"):
        header = {"alg": f"HS{digest}", "typ": "JWT"}
        yield f"HS{digest}", hmac_token(header, claims(), SECRET.encode(), f"sha{digest}")
    yield "ES384", token_of("ES384", generate_private_key(SECP384R1()))


def odd_names_of_keys() -> Forged:
    """A `kid` that is a path, a query or an address, and the signature that it would make good."""
    for kid in KIDS:
        header = {"alg": "HS256", "typ": "JWT", "kid": kid}
        for secret in (b"", b"2\n", str(kid).encode()):
            yield f"kid {str(kid)[:40]!r}, {secret[:9]!r}", hmac_token(header, claims(), secret)
    for kind in ALGORITHMS:
        other = private_key(kind, "stranger")
        yield f"kid of ours, {kind}", token_of(kind, other, {"kid": kind})
        yield (
            f"kid of another kind, {kind}",
            token_of(kind, private_key(kind, "theirs"), {"kid": "x"}),
        )


def keys_in_the_header() -> Forged:
    """The key of a stranger, or where it is, in the token itself."""
    for kind in ALGORITHMS:
        key = private_key(kind, "stranger")
        jwk = public_jwk(kind, key, kid=kind)
        der = base64.b64encode(public_pem(key)).decode()
        for name, value in (
            *(
                ("jwk", jwk),
                ("jku", "http://127.0.0.1:9/jwks.json"),
                ("jku", "https://evil.example/"),
            ),
            *(
                ("x5u", "http://127.0.0.1:9/c.pem"),
                ("x5c", [der]),
                ("x5t", "AAAA"),
                ("x5t#S256", "AAAA"),
            ),
        ):
            yield (
                f"{kind} {name} {str(value)[:20]}",
                token_of(kind, key, {name: value, "kid": kind}),
            )
    symmetric = {"kty": "oct", "k": encoded(b"x" * 32).decode()}
    yield "jwk oct", hmac_token({"alg": "HS256", "jwk": symmetric}, claims(), b"x" * 32)


def extensions() -> Forged:
    """Well signed, and with a header whose meaning is not known here."""
    secret = SECRET.encode()
    for crit in (["exp"], ["b64"], ["http://x"], [], "exp", None, 1, {}, [1], ["alg"]):
        yield (
            f"crit {crit!r}",
            hmac_token({"alg": "HS256", "crit": crit, "exp": 1}, claims(), secret),
        )
    for b64 in (False, True, 0, "false", None):
        yield f"b64 {b64!r}", hmac_token({"alg": "HS256", "b64": b64}, claims(), secret)
        header = {"alg": "HS256", "b64": b64, "crit": ["b64"]}
        yield f"b64 {b64!r} crit", hmac_token(header, claims(), secret)
    for kind in ("logout+jwt", "dpop+jwt", "secevent+jwt", "JWE", "", 7, None, ["JWT"]):
        yield f"typ {kind!r}", hmac_token({"alg": "HS256", "typ": kind}, claims(), secret)


def odd_signatures() -> Forged:
    """Signatures that need no key: zeros (CVE-2022-21449), infinities, other lengths and forms."""
    pairs = (
        (0, 0),
        (0, 1),
        (1, 0),
        (ORDER, ORDER),
        (ORDER, 0),
        (0, ORDER),
        (1, ORDER),
        (ORDER - 1, 1),
    )
    payload = claims()
    for r, s in (*pairs, (2**256 - 1, 2**256 - 1)):
        both = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        yield f"ES256 r={r % 997} s={s % 997}", raw_token({"alg": "ES256"}, payload, both)
    der = bytes.fromhex("3006020100020100")
    for kind, sizes in (
        ("ES256", (0, 1, 63, 65, 128)),
        ("EdDSA", (0, 32, 64, 65)),
        ("RS256", (0, 256, 257)),
    ):
        for size in sizes:
            for fill in (b"\0", b"\1", b"\xff"):
                header = {"alg": kind, "typ": "JWT"}
                yield f"{kind} {size} x {fill!r}", raw_token(header, payload, fill * size)
        yield f"{kind} der", raw_token({"alg": kind}, payload, der)
    identity = b"\1" + bytes(31)  # a point of small order
    yield "EdDSA identity", raw_token({"alg": "EdDSA"}, payload, identity + bytes(32))


def changed() -> Forged:
    """Good tokens, changed after they were signed."""
    signers: dict[str, Any] = {kind: private_key(kind) for kind in ALGORITHMS}
    for kind, key in {**signers, "HS256": SECRET}.items():
        head, payload, signature = token_of(kind, key).split(".")
        admin = encoded(claims(scopes=["admin"])).decode()
        yield f"{kind} other claims", f"{head}.{admin}.{signature}"
        other = encoded({"alg": kind, "typ": "JWT", "a": 1}).decode()
        yield f"{kind} other header", f"{other}.{payload}.{signature}"
        yield f"{kind} cut", f"{head}.{payload}.{signature[:-4]}"
        yield f"{kind} longer", f"{head}.{payload}.{signature}AAAA"
        yield f"{kind} none of it", f"{head}.{payload}."
        yield f"{kind} without dots", f"{head}{payload}{signature}"
        yield f"{kind} five parts", f"{head}.{payload}.{signature}.{payload}.{signature}"
        yield f"{kind} two", f"{head}.{payload}"
        yield f"{kind} flipped", f"{head}.{payload}.{_flipped(signature)}"


def odd_forms() -> Forged:
    """What is no token, and what is one in another one."""
    secret, header = SECRET.encode(), {"alg": "HS256", "typ": "JWT"}
    inner = token_of("HS256", secret)
    yield "nested", hmac_token({**header, "cty": "JWT"}, inner.encode(), secret)
    yield (
        "nested, as JSON",
        hmac_token({**header, "cty": "JWT"}, json.dumps(inner).encode(), secret),
    )
    for payload in (b"", b"null", b"[]", b"1", b'"x"', b"{", b"\xff", b"{}{}", b"[" * 30_000):
        yield f"claims {payload[:9]!r}", hmac_token(header, payload, secret)
    for head in (b"", b"null", b"[]", b"1", b"{", b"\xff", b'{"alg":"HS256"', b"[" * 30_000):
        yield f"header {head[:9]!r}", hmac_token(head, claims(), secret)
    for text in (
        "",
        ".",
        "..",
        "...",
        "." * 9_000,
        "a.b.c",
        "a" * 60_000,
        "é.é.é",
        "%2e.%2e.",
        "=.=.=",
    ):
        yield f"text {text[:9]!r}", text
    yield "JSON form", json.dumps({"payload": "e30", "signatures": [{"protected": "e30"}]})
    twice = b'{"alg":"none","alg":"HS256"}'
    yield "alg twice", hmac_token(twice, claims(), b"")
    yield "another secret", token_of("HS256", "another secret of enough bytes!!")
    yield "empty secret", hmac_token(header, claims(), b"")


def _flipped(signature: str) -> str:
    return ("B" if signature[0] == "A" else "A") + signature[1:]


ALL: tuple[Callable[[], Forged], ...] = (
    *(public_as_secret, odd_algorithms, other_labels, other_algorithms_of_our_keys),
    *(odd_names_of_keys, keys_in_the_header, extensions, odd_signatures, changed, odd_forms),
)
