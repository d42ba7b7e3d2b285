"""Refuses requests by their headers alone, before the app hears of them."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence

from api.auth import CREDENTIALS, Authenticator, credentials
from api.errors import ApiError
from api.line import Line
from api.refusal import OVERLOADED, overloaded_answer
from api.request_log import Record, write
from api.request_metrics import RequestMetrics


class Door:
    """Turns requests away while the line is too long, at half of what that costs the app.

    All but plain requests to these `doors` with a good token are left to the app.
    """

    def __init__(
        self,
        line: Line,
        authenticator: Authenticator,
        doors: Collection[str],
        requests: RequestMetrics,
    ) -> None:
        self.line = line
        self._authenticator = authenticator
        self._requests = requests
        self._doors = doors

    def refusal(
        self, url: bytes, headers: Sequence[tuple[bytes, bytes]], peer: Callable[[], str | None]
    ) -> bytes | None:
        """The whole answer to a POST that is refused, and its line in the log. `peer` tells the
        address that it comes from.

        None where the app is to see it.
        """
        path, named = url.decode("latin-1"), dict(reversed(headers))  # the first counts
        if path not in self._doors or b"origin" in named:  # a browser wants to hear of CORS
            return None
        try:
            tenant = self._authenticator.authenticate(credentials(_texts(named))).subject
        except ApiError:
            return None
        if not self.line.is_closed_to(tenant):
            return None
        about = os.urandom(16).hex(), "POST", path, peer(), 503, OVERLOADED
        record = Record(*about, tenant)
        write(record, path)
        self._requests.note(record, path)
        return overloaded_answer(self.line.expected_wait_s, record.id)


def _texts(headers: Mapping[bytes, bytes]) -> Mapping[str, str]:
    """Those of the headers that tell who comes."""
    found = {name: headers.get(name.encode()) for name in CREDENTIALS}
    return {name: value.decode("latin-1") for name, value in found.items() if value is not None}
