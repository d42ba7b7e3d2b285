"""Forged tokens against an API that believes keys of every kind: at d26fdb4 212 found no way in."""

from collections.abc import Callable

import pytest

from api.auth import Authenticator
from api.errors import ApiError
from api.jwks import Jwks
from api.token_keys import read_jwks
from testing.builders import SECRET, make_settings
from testing.service import service
from testing.signers import (
    ALGORITHMS,
    key_set,
    private_key,
    public_jwk,
    public_pem,
    token_of,
)
from tests.unit.api.forgeries import ALL, Forged

URL = "https://login.example.org/jwks"


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("keys") / "ours.pem"
    path.write_bytes(b"\n".join(public_pem(private_key(kind)) for kind in ALGORITHMS))
    return str(path)


@pytest.fixture(scope="module")
def believer(pem: str) -> Authenticator:
    """It has two secrets, keys of each kind in a file, and others of an identity provider."""
    settings = make_settings(jwt_keys=pem, jwks_url=URL, jwt_old_secrets="an old secret " * 3)
    jwks = Jwks(URL)
    made = Authenticator(settings.token_values, jwks)
    theirs = [public_jwk(kind, private_key(kind, "theirs"), kid=kind) for kind in ALGORITHMS]
    jwks.keys = read_jwks(key_set(*theirs))
    jwks.on_change()
    return made


def test_good_tokens_are_believed(believer: Authenticator) -> None:
    tokens = [token_of("HS256", SECRET), token_of("HS256", SECRET, {"typ": "at+jwt", "kid": "a"})]
    for kind in ALGORITHMS:
        tokens += [token_of(kind, private_key(kind)), token_of(kind, private_key(kind, "theirs"))]
        tokens.append(token_of(kind, private_key(kind, "theirs"), {"kid": kind}))
    for token in tokens:
        assert believer.authenticate(f"Bearer {token}").subject == "me"


def test_there_are_many_tricks() -> None:
    assert len({name for trick in ALL for name, _ in trick()}) >= 400


def status(believer: Authenticator, token: str) -> int:
    try:
        believer.authenticate(f"Bearer {token}")
    except ApiError as error:
        error.message.encode()
        return error.status
    return 200


@pytest.mark.parametrize("trick", ALL, ids=lambda trick: trick.__name__)
def test_forged_token_is_refused(trick: Callable[[], Forged], believer: Authenticator) -> None:
    for name, token in trick():
        assert (status(believer, token), name) == (401, name)


def test_no_forged_token_is_a_crash_of_the_api(pem: str) -> None:
    with service(jwt_keys=pem) as api:
        for trick in ALL:
            for name, token in list(trick())[::5]:
                headers = {"Authorization": f"Bearer {token}".encode()}
                answer = api.client.post("/v1/chat/completions", content=b"{}", headers=headers)
                assert (answer.status_code, name) == (401, name)
