"""The certificate with which the API speaks TLS."""

import logging
import ssl
from pathlib import Path

import click

from api.settings import ApiSettings

log = logging.getLogger("llamaq.api")

HANDSHAKE_S = 10.0
"""A client whose handshake takes longer is left."""

_Stamp = tuple[tuple[int, int, int], ...]


class _NeedsPassword(Exception):
    """The key is encrypted, and there is no password."""


class Certificate:
    """A certificate and its key in PEM files, which somebody may renew at any time.

    Raises `click.ClickException` where they can't be used.
    """

    def __init__(self, cert: Path, key: Path | None = None, password: str | None = None) -> None:
        self._cert = cert
        self._key = key or cert
        self._password = password
        self._was_asked = False
        self.context = self._load(_new_context())
        self._used = self._seen = self._stamp()

    def renew(self) -> None:
        """Uses the files as they are now, if they have changed and rest since the last call.

        Connections that are open keep what they have.
        """
        stamp = self._stamp()
        rests, self._seen = stamp == self._seen, stamp
        if stamp == self._used or not rests:
            return
        self._used = stamp
        try:
            self._load(_new_context())  # one that fails would leave half of it in the context
            self._load(self.context)
        except click.ClickException as error:
            log.warning("the old TLS certificate stays in use: %s", error.message)
        else:
            log.info("uses the new TLS certificate in %s", self._cert)

    def _load(self, context: ssl.SSLContext) -> ssl.SSLContext:
        self._was_asked = False
        try:
            context.load_cert_chain(self._cert, self._key, self._given_password)
        except _NeedsPassword:
            raise click.ClickException(
                f"the key in {self._key} is encrypted: set LLAMAQ_TLS_KEY_PASSWORD"
            ) from None
        except ssl.SSLError as error:
            raise click.ClickException(self._sentence(error)) from error
        except OSError as error:
            raise click.ClickException(self._unreadable(error)) from error
        except ValueError as error:
            raise click.ClickException(f"LLAMAQ_TLS_KEY_PASSWORD: {error}") from error
        return context

    def _given_password(self) -> str:
        self._was_asked = True
        if self._password is None:
            raise _NeedsPassword
        return self._password

    def _sentence(self, error: ssl.SSLError) -> str:
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"the key in {self._key} is not that of the certificate in {self._cert}"
        if self._was_asked:
            return f"LLAMAQ_TLS_KEY_PASSWORD is not the password of the key in {self._key}"
        return (
            f"{self._cert} must hold a certificate (--tls-cert) and {self._key} its private key "
            "(--tls-key), both in PEM"
        )

    def _unreadable(self, error: OSError) -> str:
        for path, option in ((self._cert, "--tls-cert"), (self._key, "--tls-key")):
            try:
                path.open("rb").close()
            except OSError as reason:
                return f"can't read {path} ({reason.strerror}): {option} must name a file in PEM"
        return f"can't read {self._cert} or {self._key} ({error.strerror})"

    def _stamp(self) -> _Stamp | None:
        """Changes when a file changes; None while one is missing."""
        try:
            files = [path.stat() for path in (self._cert, self._key)]
        except OSError:
            return None
        return tuple((file.st_mtime_ns, file.st_size, file.st_ino) for file in files)


def certificate(settings: ApiSettings) -> Certificate | None:
    """That of an API with these settings. Raises `click.ClickException`."""
    password = settings.tls_key_password
    if settings.tls_cert is None:
        if settings.tls_key is not None:
            raise click.ClickException("--tls-key needs the certificate, too: --tls-cert FILE")
        return None
    text = None if password is None else password.get_secret_value()
    return Certificate(settings.tls_cert, settings.tls_key, text)


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context
