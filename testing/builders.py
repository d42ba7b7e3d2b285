"""Builds settings, tokens and bodies of requests."""

import json
import time
from typing import Any

import jwt

from api.auth import Authenticator
from api.jwks import Jwks
from api.settings import ApiSettings

BOUNDARY = "b"
SECRET = "a secret for tests, long enough for HS256"


def make_settings(**changes: Any) -> ApiSettings:
    return ApiSettings(**{"jwt_secret": SECRET} | changes)


def make_authenticator(jwks: Jwks | None = None, **changes: Any) -> Authenticator:
    """Believes what such settings tell."""
    return Authenticator(make_settings(**changes).token_values, jwks)


def make_token(*, secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    """A signed token for tenant `me`, valid for an hour; a claim given as None is left out."""
    claims = {"sub": "me", "exp": int(time.time()) + 3600} | claims
    present = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(present, secret, algorithm=algorithm)


def make_chat(**fields: Any) -> bytes:
    """The body of a chat request; a field given as `...` is left out."""
    chat = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]} | fields
    return json.dumps({name: value for name, value in chat.items() if value is not ...}).encode()


def make_form(fields: dict[str, str], **files: bytes) -> bytes:
    """A form (multipart/form-data) with these fields and files."""
    parts = [(name, "", text.encode()) for name, text in fields.items()]
    parts += [(name, '; filename="a"', content) for name, content in files.items()]
    line = BOUNDARY.encode()
    disposition = 'Content-Disposition: form-data; name="%s"%s'
    written = [
        b"--%b\r\n%b\r\n\r\n%b\r\n" % (line, (disposition % (name, more)).encode(), content)
        for name, more, content in parts
    ]
    return b"".join(written) + b"--%b--\r\n" % line
