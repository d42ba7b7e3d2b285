"""TLS to a Redis whose certificate is known by the fingerprint of its CA alone.

The fingerprint is a part of the address: rediss://HOST:PORT/0?ca_sha256=HEX. The name of the host
is not checked: the CA signs for nobody but this server, which may have many addresses.
"""

import asyncio
import re
import ssl
import sys
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from redis.asyncio.connection import SSLConnection

PIN = "ca_sha256"
_HEX = re.compile(r"[0-9a-f]{64}")

_found: dict[str, bytes] = {}  # certificates by their fingerprints


class BadPin(ValueError):
    """What stands in the place of a fingerprint is no fingerprint."""


def split_pin(redis_url: str) -> tuple[str, str]:
    """The address that redis-py understands, and the fingerprint in it. Raises `BadPin`.

    >>> split_pin("rediss://host:1/0?ca_sha256=" + 64 * "A")[0]
    'rediss://host:1/0'
    >>> split_pin("redis://host:1/0")
    ('redis://host:1/0', '')
    """
    parts = urlsplit(redis_url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    pins = [value.replace(":", "").lower() for name, value in query if name == PIN]
    if not pins:
        return redis_url, ""
    if parts.scheme != "rediss" or len(pins) > 1 or not _HEX.fullmatch(pins[0]):
        raise BadPin(f"{PIN} goes with rediss:// and is a SHA-256 of 64 hexadecimal digits")
    rest = urlencode([pair for pair in query if pair[0] != PIN])
    return urlunsplit(parts._replace(query=rest)), pins[0]


class PinnedConnection(SSLConnection):
    """A connection of redis-py to such a server."""

    def __init__(self, *, pin: str, **about: Any) -> None:
        super().__init__(**about)
        self._pin = pin
        self._context: ssl.SSLContext | None = None

    async def trusted(self) -> ssl.SSLContext:
        """A context that trusts the server of this fingerprint alone. Raises `OSError`."""
        if self._context is None:
            certificate = await _certificate(self.host, self.port, self._pin)
            self._context = _trusting(certificate)
        return self._context

    async def _connect(self) -> None:
        await self.trusted()
        await super()._connect()  # type: ignore[no-untyped-call]

    def _connection_arguments(self) -> Mapping[str, Any]:
        return {**super()._connection_arguments(), "ssl": self._context}


async def _certificate(host: str, port: int, pin: str) -> bytes:
    """The certificate with this fingerprint, as the server shows it."""
    if pin not in _found:
        _, writer = await asyncio.open_connection(host, port, ssl=_trusting_all())
        chain = _chain_of(writer.get_extra_info("ssl_object"))
        writer.transport.abort()
        for certificate in chain:
            if sha256(certificate).hexdigest() == pin:
                _found[pin] = certificate
                break
        else:
            raise ConnectionError(
                f"what answers at {host}:{port} is not the server of this address: its CA has "
                "another fingerprint (ca_sha256). Ask for a new line, and type nothing secret here"
            )
    return _found[pin]


def _trusting_all() -> ssl.SSLContext:
    """A context that trusts anybody: nothing is said over its connections."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _trusting(certificate: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it may be the server's own
    context.load_verify_locations(cadata=certificate)
    return context


def _chain_of(tls: Any) -> list[bytes]:
    """The certificates that a server has shown, in DER."""
    if sys.version_info >= (3, 13):
        return list(tls.get_unverified_chain())
    import _ssl  # the same, before it had a name

    encoding = _ssl.ENCODING_DER
    return [each.public_bytes(encoding) for each in tls._sslobj.get_unverified_chain()]
