"""`llamaq join`: the line to paste on another machine."""

from pathlib import Path

import click

from dispatcher.settings import QueueSettings
from llamaq.data_dir import BESIDE_UP, data_dir_option, kept_listen, kept_redis_url
from llamaq.greeting import bridge_line, elsewhere, other_addresses, redis_addresses, tcp_url
from llamaq.settings import describe, load


@click.command(epilog=describe(QueueSettings))
@click.argument("address", required=False)
@data_dir_option(BESIDE_UP.format("LLAMAQ_REDIS_URL"))
def join(address: str | None, data_dir: Path) -> None:
    """Print the line that joins the llama-server of another machine.

    ADDRESS is where that machine reaches Redis: a host, or HOST:PORT. Beside a `llamaq up --lan`
    it may be left out. The line holds the password. It begins with a space, so that most shells
    keep it out of their history.
    """
    kept = kept_redis_url(data_dir)
    if kept is not None:
        listen, password = kept_listen(data_dir)
        url = tcp_url(redis_addresses(listen)[0].host, listen.port, password)
        if address is None and (others := other_addresses(listen)):
            click.echo(f"{others} For these: llamaq join ADDRESS", err=True)
    else:
        settings: QueueSettings = load({QueueSettings: {}})[QueueSettings]
        url = settings.redis_url.get_secret_value()
        if address is None:
            raise click.UsageError("give the ADDRESS where the other machine reaches this Redis")
    click.echo(bridge_line(elsewhere(url, address) if address else url))
