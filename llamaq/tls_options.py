"""The options for the API's certificate, and the variables that pass it on to processes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from api.settings import ApiSettings


def tls_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options `--tls-cert` and `--tls-key`."""
    file = click.Path(dir_okay=False, path_type=Path)
    cert = click.option("--tls-cert", type=file, help="Certificate (PEM): the API speaks HTTPS.")
    key = click.option("--tls-key", type=file, help="Its private key (PEM).")
    return cert(key(command))


def tls_variables(settings: ApiSettings) -> dict[str, str]:
    """What the environment of other processes must say, so that they speak TLS in the same way."""
    files = {"LLAMAQ_TLS_CERT": settings.tls_cert, "LLAMAQ_TLS_KEY": settings.tls_key}
    told = {name: str(path.absolute()) for name, path in files.items() if path is not None}
    if settings.tls_key_password is not None:
        told["LLAMAQ_TLS_KEY_PASSWORD"] = settings.tls_key_password.get_secret_value()
    return told
