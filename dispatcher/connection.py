"""Opens Redis so that no command is repeated behind our back and every fault has one type."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from redis.asyncio import Redis
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
from dispatcher.redis_address import RedisAddress
from dispatcher.redis_replies import FOR_NOW

BLOCK_S = 2.0
"""How long a command may block in Redis. A lost wake-up costs no more than this."""

SILENCE_S = 10.0
"""How long a link waits for an answer while nothing moves, unless told otherwise."""

LEASE_SILENCE_S = 3.0
"""The same for a link that renews a lease, which lasts a second longer."""

BLOCKED_SILENCE_S = BLOCK_S + 3.0
"""The same for a link whose commands block: its answers are never further apart than that."""

_ANSWER_S = 3.0
# redis-py makes types of some codes and takes them off the text.
_FOR_NOW = (
    *(OutOfMemoryError, ReadOnlyError, ClusterDownError, TryAgainError, NoPermissionError),
    AskError,  # MOVED too: it has become a Redis Cluster
    NoScriptError,
)


class LinkedRedis(Redis):
    """redis-py's client, and a link to the same server for what must be cheap.

    Each connects when it is used.
    """

    link: Link

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Closes both. The link connects no more; redis-py does when it is used again."""
        await self.link.close()
        await super().aclose(close_connection_pool)


def open_redis(url: str, *, silence_s: float = SILENCE_S) -> LinkedRedis:
    """A client on one connection of its own, where commands wait for each other, and a link.

    Neither retries: the reply to a command that was executed may be lost, and only the callers
    know which commands may be repeated. The link is given up after `silence_s` without an answer.
    Commands that block need a link that nobody else uses.
    """
    redis: Any = LinkedRedis.from_url(
        url,
        single_connection_client=True,
        socket_timeout=_ANSWER_S,
        socket_connect_timeout=2,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=15,
    )
    redis.link = Link(RedisAddress(redis.connection_pool), silence_s)
    return cast(LinkedRedis, redis)


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
