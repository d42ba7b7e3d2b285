"""How many connections there may be: in all, and of each address."""

import logging
import os
from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from api.admission import Holdings
from api.errors import ApiError
from api.paths import PROBES, canonical
from api.proxies import Proxies
from api.refusal import CLOSE, overloaded, refuse, refused_for_a_while
from api.request_log import Record, peer_of, write

log = logging.getLogger("llamaq.api")

MOST_HEADS_BYTES = 16 * 2**20
"""What incomplete large headers of all connections together may take."""

MOST_REFUSED = 256
"""Connections that are kept beyond all bounds, just to say no."""

_CROWDED_S = 5.0
_SETTING = "LLAMAQ_MAX_ADDRESS_CONNECTIONS"


class Places:
    """The places of one process.

    An address has at most `most_of_one`, and when half of all are taken, its share. With 0 it has
    any number. This machine, whose name is "", may have any number too.

    `head_bytes` is what incomplete headers take.
    """

    def __init__(self, most: int, most_of_one: int = 0, proxies: Proxies | None = None) -> None:
        self.most = most
        self._most_of_one = most_of_one
        self.proxies = proxies or Proxies()
        self.head_bytes = 0
        self._taken = Holdings()
        self._behind_proxies = Holdings()

    def like_these(self, most: int) -> "Places":
        """Other places with the same bounds, `most` of them."""
        return Places(min(most, self.most), self._most_of_one, self.proxies)

    @property
    def taken(self) -> int:
        """How many are."""
        return self._taken.total

    def name(self, host: str) -> str:
        """The name under which the connections of a host count."""
        return "" if self.proxies.trusts(host) else self.proxies.name(host)

    def take(self, name: str) -> ApiError | None:
        """Takes one for this host, until `give_back`. Returns the error if there is none."""
        if self._taken.total >= self.most:
            log.warning("all %s connections of this API are taken: it refuses more", self.most)
            return overloaded(_CROWDED_S)
        if name and self._most_of_one and self._has_its_part(name):
            log.warning("%s has as many connections as an address may have (%s)", name, _SETTING)
            return too_many_of_an_address(self._taken.of(name))
        self._taken.add(name)
        return None

    def give_back(self, name: str) -> None:
        """It is free again."""
        self._taken.remove(name)

    def _has_its_part(self, name: str) -> bool:
        if self._taken.of(name) >= self._most_of_one:
            return True
        return self._taken.total >= self.most / 2 and self._taken.has_its_share(name)

    def behind_proxies(self, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """The address for which a trusted proxy speaks; "" where it names none."""
        values = [value for name, value in headers if name == b"x-forwarded-for"]
        return self.proxies.behind([value.decode("latin-1") for value in values])

    async def serve_proxy(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request of a trusted proxy. It counts for the address that the proxy names."""
        if address := self.behind_proxies(scope["headers"]):
            scope = {**scope, "client": (address, 0)}
        name = self.proxies.name(address)
        held = self._behind_proxies
        if name and held.of(name) >= self._most_of_one > 0:
            log.warning("%s has as many requests as an address may have (%s)", name, _SETTING)
            error = too_many_of_an_address(held.of(name))
            await serve_refusal(error, app, scope, receive, send)
            return
        held.add(name)
        try:
            await app(scope, receive, send)
        finally:
            held.remove(name)


def too_many_of_an_address(count: int) -> ApiError:
    """A 429 for an address with as many connections as it may have."""
    message = (
        f"Your address has {count} connections to this API, which is as many as it may have. "
        "Please close some or use them again"
    )
    return refused_for_a_while("too_many_connections", message, _CROWDED_S)


async def serve_refusal(
    error: ApiError, app: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    """Refuses a request with this error, unless it asks whether the API lives."""
    if canonical(scope["path"]) in PROBES:
        await app(scope, receive, send)
    else:
        record = Record(
            *(os.urandom(16).hex(), scope["method"], scope["path"], peer_of(scope.get("client"))),
            *(error.status, error.code),
        )
        write(record, scope["path"])
        error.headers.update(CLOSE)
        error.headers["x-request-id"] = record.id
        await refuse(error, {}, receive, send)
