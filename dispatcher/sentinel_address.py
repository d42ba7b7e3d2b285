"""The address of a Redis behind Sentinels: what is in it. Pure.

redis+sentinel://USER:PASSWORD@HOST:26379,HOST2:26379/NAME/DB, or rediss+sentinel:// for TLS to
the Sentinels and to Redis. The login is that of Redis. The Sentinels' own stands after a question
mark: ?sentinel_username=USER&sentinel_password=PASSWORD.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlencode

SENTINEL_PORT = 26379
PASSWORD = "sentinel_password"  # noqa: S105  # the name of a parameter
USERNAME = "sentinel_username"
_SCHEMES = {"redis+sentinel": "redis", "rediss+sentinel": "rediss"}
_HOST = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<name>[^:\[\]]+))(?::(?P<port>\d{1,5}))?")
_FORM = "redis+sentinel://[USER:PASSWORD@]HOST:26379,HOST2:26379/NAME/DB"


class BadSentinelAddress(ValueError):
    """An address that begins as one of Sentinels does, but is none. The message has no secret."""


@dataclass(frozen=True, slots=True)
class SentinelAddress:
    """Where the Sentinels are, the name of the primary that they watch, and the logins.

    `server_url` has what redis-py must know of Redis itself; its host is of no use.
    """

    sentinels: tuple[tuple[str, int], ...]
    name: str
    server_url: str = field(repr=False)
    username: str = ""
    password: str = field(default="", repr=False)


def is_of_sentinels(redis_url: str) -> bool:
    """Whether an address names Sentinels in place of a server."""
    return redis_url.partition("://")[0] in _SCHEMES


def read_sentinel_address(redis_url: str) -> SentinelAddress | None:
    """What is in the address; None where it names a server. Raises `BadSentinelAddress`.

    >>> found = read_sentinel_address("redis+sentinel://:pw@a,b:5/main/2?sentinel_password=x")
    >>> found
    SentinelAddress(sentinels=(('a', 26379), ('b', 5)), name='main', username='')
    >>> found.server_url, found.password
    ('redis://:pw@primary/2', 'x')
    >>> read_sentinel_address("redis://host:6379/0")
    """
    if not is_of_sentinels(redis_url):
        return None
    scheme, _, rest = redis_url.partition("://")
    place, _, query = rest.partition("?")
    hosts, _, path = place.partition("/")
    login, at, hosts = hosts.rpartition("@")
    name, _, db = path.partition("/")
    if not name or not re.fullmatch(r"\d{0,4}", db):
        raise BadSentinelAddress(f"must name the primary: {_FORM}")
    told = parse_qsl(query, keep_blank_values=True)
    own = dict(told)
    others = urlencode([(key, value) for key, value in told if key not in (USERNAME, PASSWORD)])
    server = f"{_SCHEMES[scheme]}://{login}{at}primary/{db or 0}{'?' if others else ''}{others}"
    return SentinelAddress(
        tuple(_host(each) for each in hosts.split(",")),
        unquote(name),
        server,
        own.get(USERNAME, ""),
        own.get(PASSWORD, ""),
    )


def _host(text: str) -> tuple[str, int]:
    match = _HOST.fullmatch(text.strip())
    port = int(match["port"] or SENTINEL_PORT) if match else 0
    if match is None or not 0 < port < 65536:
        raise BadSentinelAddress(f"must list Sentinels as HOST:PORT with commas between: {_FORM}")
    return match["v6"] or match["name"], port
