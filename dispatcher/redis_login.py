"""The login in the address of a Redis: what is before the @. Pure."""

from urllib.parse import quote, unquote, urlsplit, urlunsplit


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
