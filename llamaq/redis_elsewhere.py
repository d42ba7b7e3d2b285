"""Where other machines reach the queue's Redis: for the lines that `join` and `invite` print."""

from pathlib import Path

import click

from dispatcher.sentinel_address import is_of_sentinels
from llamaq.data_dir import kept_listen, kept_redis_url
from llamaq.greeting import for_whom, redis_addresses, redis_url_at, tcp_url
from llamaq.redis_work import redis_url_in_environment


def url_for_others(address: str | None, data_dir: Path, command: str) -> str:
    """The URL of this Redis, its login with it, as a machine sees it that reaches it at `address`.

    Beside a `llamaq up --lan` the address may be left out. If there are several, people are told of
    `command`, which takes one. The address of Sentinels may stay as it is. Raises
    `click.ClickException`.
    """
    kept = kept_redis_url(data_dir)
    if kept is not None:
        listen, password, fingerprint = kept_listen(data_dir)
        url = tcp_url(redis_addresses(listen)[0].host, listen.port, password, fingerprint)
        for line in for_whom(listen, command) if address is None else ():
            click.echo(line, err=True)
    else:
        url = redis_url_in_environment()
        if address is None and not is_of_sentinels(url):
            raise click.UsageError("give the ADDRESS where the other machine reaches this Redis")
    return redis_url_at(url, address) if address else url
