"""Refuses requests by their headers alone, before the app hears of them."""

import os
from collections.abc import Collection, Iterable

from api.auth import Authenticator
from api.errors import ApiError
from api.line import Line
from api.paths import canonical
from api.refusal import overloaded_answer
from api.request_log import Record, write


class Door:
    """Turns away what the line is too long for: at half of the cost that the app has for it.

    It leaves to the app whatever is no plain request to one of `paths` with a good token.
    """

    def __init__(self, line: Line, authenticator: Authenticator, paths: Collection[str]) -> None:
        self.line = line
        self._authenticator = authenticator
        self._paths = paths

    def refusal(self, url: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
        """The whole answer to a POST that is refused, and its line in the log.

        None where the app is to see it.
        """
        path, named = canonical(url.decode("latin-1")), dict(headers)
        if path not in self._paths or b"origin" in named:  # a browser wants to hear of CORS
            return None
        try:
            token = named.get(b"authorization", b"").decode("latin-1")
            tenant = self._authenticator.authenticate(token).subject
        except ApiError:
            return None
        if not self.line.is_closed_to(tenant):
            return None
        record = Record(os.urandom(16).hex(), tenant, status=503)
        write(record, path)
        return overloaded_answer(self.line.expected_wait_s, record.id)
