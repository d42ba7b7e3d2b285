"""The logins in the address of a Redis: before the @, and that of Sentinels after the ?. Pure."""

import re
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from dispatcher.sentinel_address import PASSWORD, is_of_sentinels


def with_login(redis_url: str, user: str, password: str = "") -> str:
    """The same address for another user; without a password where that is empty.

    >>> with_login("redis://:pw@host:6379/0", "bob", "a/b")
    'redis://bob:a%2Fb@host:6379/0'
    """
    parts = urlsplit(redis_url)
    place = parts.netloc.rpartition("@")[2]
    secret = f":{quote(password, safe='')}" if password else ""
    return urlunsplit(parts._replace(netloc=f"{quote(user, safe='')}{secret}@{place}"))


def with_password(redis_url: str, password: str) -> str:
    """The same address with this password, where it has none; one that it has stays.

    >>> with_password("redis://bob@host:6379/0", "a/b")
    'redis://bob:a%2Fb@host:6379/0'
    >>> with_password("redis://:pw@host", "other")
    'redis://:pw@host'
    """
    login = urlsplit(redis_url).netloc.rpartition("@")[0]
    return redis_url if ":" in login else with_login(redis_url, unquote(login), password)


def with_sentinel_password(redis_url: str, password: str) -> str:
    """The same address with this password for its Sentinels, where it names some without one.

    >>> with_sentinel_password("redis+sentinel://a,b/main", "x/y")
    'redis+sentinel://a,b/main?sentinel_password=x%2Fy'
    >>> with_sentinel_password("redis://host", "x")
    'redis://host'
    """
    query = redis_url.partition("?")[2]
    if not is_of_sentinels(redis_url) or f"{PASSWORD}=" in query:
        return redis_url
    return f"{redis_url}{'&' if query else '?'}{PASSWORD}={quote(password, safe='')}"


def masked(redis_url: str) -> str:
    """The same address for people to see: without its passwords.

    >>> masked("redis://bob:pw@host:6379/0")
    'redis://bob:***@host:6379/0'
    >>> masked("redis+sentinel://:pw@a:1,b:2/main/0?sentinel_password=x&ssl_password=y")
    'redis+sentinel://:***@a:1,b:2/main/0?sentinel_password=***&ssl_password=***'
    """
    scheme, mark, rest = redis_url.partition("://")
    place, question, query = rest.partition("?")
    login, at, hosts = place.rpartition("@")
    user, colon, _ = login.partition(":")
    query = re.sub(r"((?:^|&)[^=&]*password=)[^&]*", r"\1***", query)
    return f"{scheme}{mark}{user}{colon}{'***' if colon else ''}{at}{hosts}{question}{query}"
