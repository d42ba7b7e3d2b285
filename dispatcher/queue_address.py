"""Where the queue is, as the environment tells it. Loads no pydantic: commands begin at once."""

from collections.abc import Mapping
from pathlib import Path

from redis.asyncio.connection import parse_url

from dispatcher.pinned_tls import BadPin, split_pin
from dispatcher.redis_login import with_password, with_sentinel_password
from dispatcher.sentinel_address import BadSentinelAddress, read_sentinel_address

URL, OTHER_URL, PASSWORD_FILE = "LLAMAQ_REDIS_URL", "REDIS_URL", "LLAMAQ_REDIS_PASSWORD_FILE"
SENTINEL_FILE = "LLAMAQ_SENTINEL_PASSWORD_FILE"

ABOUT: Mapping[str, str] = {
    PASSWORD_FILE: "file with the password of Redis, where the address has none",
    SENTINEL_FILE: "file with the password of the Sentinels, where the address has none",
    URL: "redis://, rediss:// (TLS) or unix:// address of Redis or Valkey, or "
    "redis+sentinel://HOST:26379,HOST2:26379/NAME/DB; REDIS_URL is read where this is not set",
}
"""What each variable is."""

_FILES = PASSWORD_FILE, SENTINEL_FILE


class NoAddress(Exception):
    """The environment tells no address that can be used: which `variable` is wrong, and why."""

    def __init__(self, variable: str, reason: str) -> None:
        super().__init__(reason)
        self.variable, self.reason = variable, reason


def address_in(environment: Mapping[str, str]) -> str:
    """The address, with its password. Raises `NoAddress`.

    >>> address_in({"REDIS_URL": "redis://host"})
    'redis://host'
    """
    name = URL if environment.get(URL) else OTHER_URL
    url = environment.get(name)
    files = [Path(told) if (told := environment.get(each)) else None for each in _FILES]
    if not url:
        raise NoAddress(URL, f"must be set: {ABOUT[URL]}")
    try:
        return checked_address(url, *files)
    except ValueError as error:
        raise NoAddress(URL, str(error)) from None


def checked_address(url: str, password_file: Path | None, sentinel_file: Path | None) -> str:
    """An address with the passwords from files, where it has none. Raises `ValueError`."""
    try:
        behind = read_sentinel_address(url)
        parse_url(behind.server_url if behind else split_pin(url)[0])
    except (BadPin, BadSentinelAddress):
        raise
    except ValueError:
        raise ValueError(
            "must be a redis://, rediss://, unix:// or redis+sentinel:// address"
        ) from None
    if sentinel_file is not None:
        url = with_sentinel_password(url, _read(sentinel_file))
    return url if password_file is None else with_password(url, _read(password_file))


def _read(file: Path) -> str:
    try:
        password = file.expanduser().read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ValueError(f"the password can't be read from {file}: {reason}") from None
    if not password:
        raise ValueError(f"the password can't be read from {file}: it is empty")
    return password
