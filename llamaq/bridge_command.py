"""`llamaq bridge`: one bridge alone."""

from collections.abc import Sequence

import click

from dispatcher.redis_check import UnfitRedis
from dispatcher.settings import QueueSettings
from llamaq import event_loop
from llamaq.settings import describe, load
from worker_bridge.joining import ServerTaken
from worker_bridge.service import run_bridge
from worker_bridge.settings import BridgeSettings


@click.command(epilog=describe(QueueSettings, BridgeSettings))
@click.option("--server", help="Address of the llama-server.")
@click.option("--model", help="Name to serve the model under.")
@click.option("--name", help="Name of this worker.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def bridge(server: str | None, model: str | None, name: str | None, command: Sequence[str]) -> None:
    """Bridge a llama-server: one that runs, or one that COMMAND starts.

    \b
    llamaq bridge --server http://127.0.0.1:8080
    llamaq bridge -- llama-server -m model.gguf --parallel 4
    """
    if server and command:
        raise click.UsageError("give either --server or a command that starts one, not both")
    values = {"server": server, "model": model, "worker_name": name}
    loaded = load({QueueSettings: {}, BridgeSettings: values})
    try:
        event_loop.run(run_bridge(loaded[BridgeSettings], loaded[QueueSettings], command))
    except (ServerTaken, UnfitRedis) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{command[0] if command else 'bridge'}: {error}") from error
