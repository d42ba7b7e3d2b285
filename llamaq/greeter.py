"""Waits until what `llamaq up` has started serves, says how to use it, and ends.

It is a process of its own: the one that stays needs no HTTP client.
"""

import asyncio
import pickle
import sys

import click

from llamaq.greeting import Greeting
from llamaq.probe import Probe


async def greet(greeting: Greeting, demo_model: str | None) -> None:
    """With a `demo_model` it shows one chat too.

    Raises `click.ClickException` where nothing serves in time.
    """
    probe = Probe(greeting.local_url, greeting.token, greeting.tls_cert)
    if demo_model:
        await probe.wait_until_ready()
    else:
        await probe.wait_until_alive()
    greeting.show()
    model = demo_model or await probe.wait_for_model()
    greeting.show_chat_line(model)
    if demo_model:
        await probe.show_chat(model)


if __name__ == "__main__":
    handed = pickle.load(sys.stdin.buffer)  # noqa: S301  # from our parent
    try:
        asyncio.run(greet(*handed))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
