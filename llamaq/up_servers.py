"""Which llama-servers `llamaq up` bridges, and what it says where there is none."""

import asyncio
import shutil
from collections.abc import Sequence

import click

from llamaq.rpc_option import peers_by_server
from llamaq.settings import load
from worker_bridge.launcher import EXAMPLE
from worker_bridge.local_servers import PLACES, PORTS, Seen, look_around
from worker_bridge.settings import BridgeSettings

FINDING = [["--find"]]
"""The arguments of the bridge that looks for llama-servers."""


def bridges_of(servers: Sequence[str], rpc_peers: Sequence[str]) -> list[list[str]]:
    """The arguments of one bridge for all servers that are named, where there are any.

    Raises `click.UsageError`.
    """
    if rpc_peers and not servers:
        raise click.UsageError("--rpc-peers goes with --server")
    peers = peers_by_server(servers, rpc_peers)
    for server in servers:
        load({BridgeSettings: {"server": server, "rpc_peers": peers.get(server)}})
    words = [word for server in servers for word in ("--server", server)]
    words += [word for each in rpc_peers for word in ("--rpc-peers", each)]
    return [words] if servers else []


def look_and_tell() -> bool:
    """Whether a llama-server answers here now. Tells people what does, or what to do.

    `up` goes on where there is none: others may join, and it finds one that starts later. So it may
    start before its servers, and a machine without any may hold the queue for others.
    """
    seen = asyncio.run(look_around())
    for line in _in_words(seen):
        click.echo(line, err=True)
    return any(each.is_server for each in seen)


def _in_words(seen: Sequence[Seen]) -> list[str]:
    servers = [f"Found {each.what} at {each.url}." for each in seen if each.is_server]
    others = [f"{each}." for each in seen if not each.is_server]
    return others + (servers or _what_to_do({each.port for each in seen}))


def _what_to_do(taken: set[int]) -> list[str]:
    free = [port for port in PORTS if port not in taken]
    port = f" --port {free[0]}" if free and free[0] != PORTS[0] else ""
    lines = [f"No llama-server answers on {PLACES}. llamaq starts all the same, and looks again."]
    if shutil.which("llama-server") is None:
        lines.append("This machine has no llama-server on its PATH. Install llama.cpp.")
        lines.append("To try llamaq without it: llamaq up --demo")
    if free:
        lines.append(f"Start one, and it joins by itself: {' '.join(EXAMPLE)}{port}")
    lines.append(f"Or have llamaq start it: llamaq up -- {' '.join(EXAMPLE)}")
    return [*lines, "Name one that listens elsewhere: llamaq up --server URL"]
