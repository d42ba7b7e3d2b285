"""`--rpc-peers`: which RPC peers belong to which llama-server."""

from collections.abc import Mapping, Sequence

import click

from llamaq.environment import is_set

rpc_peers_option = click.option(
    "--rpc-peers",
    "rpc_peers",
    multiple=True,
    metavar="[SERVER=]HOST:PORT,…",
    help="The ggml-rpc-servers of a --server that runs with --rpc; of several, name it.",
)


def peers_by_server(servers: Sequence[str], given: Sequence[str]) -> Mapping[str, str]:
    """The peers of each server that was given some. Raises `click.UsageError`.

    Without `servers` there is one all the same, which is called "" here.
    """
    known = servers or ("",)
    found: dict[str, str] = {}
    for each in given:
        named, _, peers = each.rpartition("=")
        server = named or (known[0] if len(known) == 1 else "")
        if server not in known:
            raise click.UsageError(
                f"--rpc-peers {each}: say whose they are, with the words of a --server: "
                f"--rpc-peers {servers[0] if servers else 'SERVER'}={peers}"
            )
        if server in found:
            raise click.UsageError(
                f"--rpc-peers {each}: the peers of {server or 'the server'} are given twice"
            )
        found[server] = peers
    if len(servers) > len(found) and len(servers) > 1 and is_set("LLAMAQ_RPC_PEERS"):
        raise click.UsageError(
            "LLAMAQ_RPC_PEERS is for one server: use --rpc-peers SERVER=HOST:PORT"
        )
    return found
