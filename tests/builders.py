"""Small makers of what tests need."""

import json
import time
from typing import Any

import jwt

from api.settings import ApiSettings

SECRET = "a secret for tests, long enough for HS256"


def make_settings(**changes: Any) -> ApiSettings:
    return ApiSettings(**{"jwt_secret": SECRET} | changes)


def make_token(*, secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    """A signed token for tenant `me`, valid for an hour; a claim given as None is left out."""
    claims = {"sub": "me", "exp": int(time.time()) + 3600} | claims
    present = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(present, secret, algorithm=algorithm)


def make_chat(**fields: Any) -> bytes:
    """The body of a chat request; a field given as `...` is left out."""
    chat = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]} | fields
    return json.dumps({name: value for name, value in chat.items() if value is not ...}).encode()
