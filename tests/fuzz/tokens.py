"""The reader of tokens: good ones that were changed, and such as nobody would make."""

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from api.errors import ApiError
from testing.builders import SECRET, make_authenticator
from testing.signers import claims, hmac_token, token_of
from tests.fuzz.edge import Wrong
from tests.fuzz.values import NUMBERS, ODD, cut_up

_CLAIMS = (
    *("exp", "nbf", "iat", "sub", "aud", "iss", "jti", "weight", "tier", "delegate", "scope"),
    *("scopes", "models", "limits", "groups", "roles", "realm_access", "urn:x/groups"),
)
_HEADERS = "alg", "kid", "typ", "crit", "b64", "jwk", "jku", "x5c", "cty", "zip"
_GROUPS = '{"a": {"weight": 2, "models": ["m"]}, "*": {"scopes": []}}'
_SETTINGS: Sequence[dict[str, str]] = (
    *({}, {"groups": _GROUPS}, {"jwt_audience": "llamaq"}),
    {"jwt_issuer": "home", "jwt_longest_life_s": "3600"},
)
_BELIEVERS = [make_authenticator(**settings) for settings in _SETTINGS]


@st.composite
def credentials(draw: st.DrawFn) -> tuple[str, bool]:
    """What a client puts behind `Authorization:`, and whether our secret has signed it."""
    if draw(st.booleans()):
        said = claims() | draw(st.dictionaries(st.sampled_from(_CLAIMS), ODD, max_size=4))
        header = {"alg": "HS256"} | draw(
            st.dictionaries(st.sampled_from(_HEADERS), ODD | NUMBERS, max_size=2)
        )
        return f"Bearer {hmac_token(header, said, SECRET.encode())}", True
    token = token_of("HS256", SECRET)
    changed = draw(cut_up(token.encode())).decode("latin-1")
    scheme = draw(st.sampled_from(["Bearer ", "bearer ", "Bearer  ", "Basic ", "", "Bearer\t"]))
    return scheme + changed, _signed_part(changed.strip()) == _signed_part(token)


def _signed_part(token: str) -> str:
    return token.rpartition(".")[0]


def check(credential: tuple[str, bool]) -> None:
    """It names a tenant, or gets a 401 that helps. Nobody else's is believed. Raises `Wrong`."""
    text, is_ours = credential
    for believer in _BELIEVERS:
        try:
            tenant = believer.authenticate(text)
        except ApiError as error:
            if error.status != 401:
                raise Wrong(f"{error.status} for {text!r}") from error
            json.dumps(error.body(), ensure_ascii=False).encode()
        else:
            if not is_ours:
                raise Wrong(f"the tenant {tenant.subject!r} came in with {text!r}")


_TEXT = st.text(st.characters(max_codepoint=255), max_size=80)  # a header has no others
ANYTHING: st.SearchStrategy[Any] = credentials() | st.tuples(_TEXT, st.just(False))
