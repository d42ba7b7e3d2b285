"""Only one `llamaq up` may use a data folder at a time."""

import click

from dispatcher.connection import open_redis, redis_faults
from dispatcher.errors import RedisUnavailable


async def check_nobody_runs(redis_url: str) -> None:
    """Raises `click.ClickException` if the embedded Redis of another `up` answers there."""
    redis = open_redis(redis_url)
    try:
        with redis_faults():
            pid = (await redis.info("server"))["process_id"]
    except RedisUnavailable:
        return
    finally:
        await redis.aclose()
    raise click.ClickException(
        "another `llamaq up` uses this data folder: stop it, or choose another --data-dir. "
        f"If it was killed, its Redis still runs: kill {pid}"
    )
