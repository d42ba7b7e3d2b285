"""Opens the queue's Redis for a command, and tells people what it refuses."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import click
from redis.exceptions import ResponseError

from dispatcher.connection import LinkedRedis, open_redis
from dispatcher.redis_check import check_kind
from llamaq.redis_sentences import telling_unfit_redis


@asynccontextmanager
async def queue_redis(
    redis_url: str,
    *,
    refused: str = "what is asked of it",
    mistakes: tuple[type[Exception], ...] = (),
) -> AsyncIterator[LinkedRedis]:
    """The Redis at this address, once it is known to be one that can hold the queue.

    Raises `RedisUnavailable`, and `click.ClickException` for a Redis that can't hold it, for these
    `mistakes` of people, and where Redis refuses the command. `refused` says what that wanted.
    """
    async with aclosing(open_redis(redis_url)) as redis:
        with telling_unfit_redis():
            await check_kind(redis)
        try:
            yield redis
        except mistakes as error:
            raise click.ClickException(str(error)) from error
        except ResponseError as error:
            raise click.ClickException(f"Redis refuses {refused}: {error}") from error
