"""Opens Redis: nothing repeats a command unasked, and every fault has one type."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from redis import DriverInfo
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from dispatcher.errors import RedisUnavailable
from dispatcher.link import Link
from dispatcher.pinned_tls import PinnedConnection, split_pin
from dispatcher.redis_address import RedisAddress
from dispatcher.redis_replies import FOR_NOW
from dispatcher.sentinel_address import read_sentinel_address
from dispatcher.sentinels import Sentinels, sentinel_pool

BLOCK_S = 2.0
"""How long a command may block in Redis. A lost wake-up costs no more than this."""

SILENCE_S = 10.0
"""How long a link waits for an answer while nothing moves, unless told otherwise."""

LEASE_SILENCE_S = 3.0
"""The same for a link that renews a lease, which lasts a second longer."""

BLOCKED_SILENCE_S = BLOCK_S + 3.0
"""The same for a link whose commands block: its answers are never further apart than that."""

MOST_APART_BYTES = 2**20
"""An API takes no longer answer where invited machines write, but for reply streams."""

MOST_READ_APART_BYTES = 24 * 2**20
"""Nor a longer piece of a reply stream there."""

_ANSWER_S = 3.0
_DRIVER = DriverInfo()  # reads the version of redis-py from disk: else each connection would
# redis-py makes types of some codes and takes them off the text.
_FOR_NOW = (
    *(OutOfMemoryError, ReadOnlyError, ClusterDownError, TryAgainError, NoPermissionError),
    AskError,  # MOVED too: it has become a Redis Cluster
    NoScriptError,
)


class LinkedRedis(Redis):
    """redis-py's client, and a link to the same server for what must be cheap.

    Each connects when it is used. `sentinels` are the Sentinels that tell where the server is, if
    any do.
    """

    link: Link
    sentinels: Sentinels | None
    links_apart: dict[str, Link]
    most_apart_bytes: int

    def apart(self, model: str) -> Link:
        """A link for what invited machines can write: no answer there holds up other models."""
        if model not in self.links_apart:
            address, silence_s = RedisAddress(self.connection_pool), self.link.silence_s
            self.links_apart[model] = Link(address, silence_s, self.most_apart_bytes)
        return self.links_apart[model]

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Closes all. The links connect no more; redis-py does when it is used again."""
        for link in (self.link, *self.links_apart.values()):
            await link.close()
        await super().aclose(close_connection_pool)
        if self.sentinels is not None:
            await self.sentinels.aclose()


def open_redis(
    url: str, *, silence_s: float = SILENCE_S, most_apart_bytes: int = MOST_APART_BYTES
) -> LinkedRedis:
    """A client on one connection of its own, where commands wait for each other, and a link.

    Neither retries: the reply to a command that was executed may be lost, and only the callers
    know which commands may be repeated. The link is given up after `silence_s` without an answer.
    Commands that block need a link that nobody else uses.
    """
    pool = _pool(url)
    redis: Any = LinkedRedis(connection_pool=pool, single_connection_client=True)
    redis.auto_close_connection_pool = True
    redis.sentinels = getattr(pool, "sentinel_manager", None)
    redis.link, redis.links_apart = Link(RedisAddress(pool), silence_s), {}
    redis.most_apart_bytes = most_apart_bytes
    return cast(LinkedRedis, redis)


def _pool(url: str) -> ConnectionPool:
    about: dict[str, Any] = {
        "socket_timeout": _ANSWER_S,
        "socket_connect_timeout": 2,
        "retry": Retry(NoBackoff(), 0),
        "health_check_interval": 15,
        "driver_info": _DRIVER,
    }
    if behind := read_sentinel_address(url):
        return sentinel_pool(behind, **about)
    plain_url, pin = split_pin(url)
    pool: ConnectionPool = ConnectionPool.from_url(plain_url, **about)
    if pin:
        pool.connection_class, pool.connection_kwargs["pin"] = PinnedConnection, pin
    return pool


@contextmanager
def redis_faults() -> Iterator[None]:
    """Turns the faults of the network and the server into `RedisUnavailable`."""
    try:
        yield
    except ResponseError as error:
        if isinstance(error, _FOR_NOW) or FOR_NOW.search(str(error)):
            raise RedisUnavailable(f"Redis refuses work: {error}") from error
        raise
    except (RedisError, OSError) as error:
        what = "refuses our login" if _is_login(error) else "can't be reached"
        raise RedisUnavailable(f"Redis {what}: {str(error) or 'no answer'}") from error


def _is_login(error: Exception) -> bool:
    return isinstance(error, AuthenticationError) or isinstance(
        error.__cause__, AuthenticationError
    )
