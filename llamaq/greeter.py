"""Waits until a worker of `llamaq up` serves, says how to use it, and ends.

It is a process of its own: the one that stays needs no HTTP client.
"""

import asyncio
import pickle
import sys

import click

from llamaq.greeting import Greeting
from llamaq.probe import Probe

_DEMO_START_S = 60.0
_SOON_S = 4.0  # a worker takes this long if its llama-server runs


async def greet(greeting: Greeting, demo_model: str | None) -> None:
    """Greets when a worker is up. With a `demo_model` it shows one chat too.

    Raises `click.ClickException` where nothing serves in time.
    """
    probe = Probe(greeting.local_url, greeting.token, greeting.tls_cert)
    await probe.wait_until_alive()
    soon_s = _SOON_S if greeting.expects else 0.0
    served = await probe.served_within(_DEMO_START_S if demo_model else soon_s)
    if served is not None:
        greeting.show(served.models, served.kind)
    elif demo_model:
        raise click.ClickException("no llama.cpp server came up; the log above says why")
    else:
        greeting.show_waiting()
        later = await probe.served()
        greeting.show(later.models, later.kind, is_new=False)
    if demo_model:
        await probe.show_chat(demo_model)


if __name__ == "__main__":
    handed = pickle.load(sys.stdin.buffer)  # noqa: S301  # from our parent
    try:
        asyncio.run(greet(*handed))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
