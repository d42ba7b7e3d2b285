"""The options of `llamaq up`, and the checks before anything is started."""

import asyncio
import pickle
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from api.settings import ApiSettings
from dispatcher.redis_check import check_at_start
from dispatcher.settings import QueueSettings
from llamaq.addresses import EVERYWHERE, in_url
from llamaq.another_up import check_nobody_runs
from llamaq.data_dir import data_dir_option
from llamaq.embedded_redis import EmbeddedRedis
from llamaq.embedded_settings import EmbeddedSettings
from llamaq.environment import is_set, set_default
from llamaq.folder_sentences import telling_folder_faults
from llamaq.greeting import Greeting
from llamaq.home import Home, keep_secret, write_private
from llamaq.host_checks import check_command, check_host
from llamaq.listening import check_port
from llamaq.logs import LOG_LEVEL, set_up_logs
from llamaq.metrics_listener import metrics_option
from llamaq.passed_sockets import at_their_address, passed_sockets
from llamaq.redis_sentences import telling_unfit_redis
from llamaq.rpc_option import rpc_peers_option
from llamaq.settings import describe, load
from llamaq.starting_command import StartingCommand
from llamaq.tls import certificate
from llamaq.tls_options import tls_options
from llamaq.up_greeting import greeting_of
from llamaq.up_plan import DEMO_MODEL, UpPlan, demo_bridges, starting_bridges
from llamaq.up_redis import plan_redis
from llamaq.up_servers import FINDING, bridges_of, look_and_tell
from llamaq.up_start import environments, start
from worker_bridge.local_servers import PLACES


@click.command(
    cls=StartingCommand,
    epilog=describe(QueueSettings, ApiSettings, EmbeddedSettings),
)
@click.option("--host", help="Address the API listens on.")
@click.option("--port", type=int, help="Port the API listens on.")
@tls_options
@data_dir_option("Folder for secrets and the queue.")
@click.option(
    "--server",
    "servers",
    multiple=True,
    envvar="LLAMAQ_SERVER",
    help=f"A llama-server to bridge; repeatable. Else those on {PLACES}, now or later.",
)
@click.option("--no-find", is_flag=True, help="Without a --server: look for none.")
@rpc_peers_option
@click.option(
    "--models",
    envvar="LLAMAQ_MODELS",
    type=click.Path(path_type=Path),
    help="A folder of GGUF files, or a file of presets: llama-server has one of them at a time.",
)
@click.option("--demo", is_flag=True, help="Also run two real llama.cpp servers on a tiny model.")
@click.option("--once", is_flag=True, help="With --demo: stop after the first chat.")
@click.option("--log-level", envvar=LOG_LEVEL, hidden=True)
@click.option(
    "--lan",
    is_flag=True,
    help="Let other machines reach both: --host 0.0.0.0 --redis-listen 0.0.0.0.",
)
@click.option(
    "--redis-listen",
    metavar="ADDR[:PORT]",
    help="Let bridges of other machines reach the embedded Redis here, with a password.",
)
@metrics_option("Where Prometheus needs no token. Bridges take the next ports.")
@click.option("--redis-tls", is_flag=True, help="Other machines reach it over TLS only.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@telling_folder_faults
def up(  # noqa: PLR0913  # one argument per option
    host: str | None,
    port: int | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    data_dir: Path,
    servers: Sequence[str],
    no_find: bool,
    rpc_peers: Sequence[str],
    models: Path | None,
    demo: bool,
    once: bool,
    log_level: str | None,
    lan: bool,
    redis_listen: str | None,
    metrics_listen: str | None,
    redis_tls: bool,
    command: Sequence[str],
) -> None:
    """Run everything on this machine: Redis, the API, and the bridges.

    It starts and keeps the llama-server of COMMAND. With --models, COMMAND starts one server after
    the other, each with the model that is asked for. Where no server is named or started, it looks
    for those that run, and waits for one.

    \b
    llamaq up
    llamaq up -- llama-server -m model.gguf --parallel 4
    llamaq up --lan --server http://127.0.0.1:8080
    llamaq up --models /path/to/models -- llama-server --parallel 4
    """
    _check_pairs({"--redis-tls": redis_tls, "--once": once}, lan or redis_listen, demo)
    _check_parts(models, command, demo)
    sockets = passed_sockets()
    log_level = log_level or _log_level_before() or ("warning" if demo else "info")
    set_up_logs(log_level)
    named = bridges_of(servers, rpc_peers) + starting_bridges(models, command)
    finds = not (named or demo or no_find)
    home = _open_home(data_dir)
    redis = plan_redis(home, listen=redis_listen, lan=lan, has_tls=redis_tls)
    host = host or (EVERYWHERE if lan else None)
    given = {"host": host, "port": port, "tls_cert": tls_cert, "tls_key": tls_key}
    api, url = _read_settings(
        home, redis.server, given | {"metrics_listen": metrics_listen}, sockets
    )
    demos = demo_bridges(_demo_model(home)) if demo else []
    bridges = FINDING if finds else [*named, *demos]
    expects = look_and_tell() if finds else bool(bridges)
    greeting = greeting_of(home, api, url, redis, finds=finds, expects=expects)
    greeting = replace(greeting, starts=bool(command) and not models)
    _remember(home, greeting)
    if demo:
        click.echo("Starting Redis, the API and two llama.cpp servers…", err=True)
    known = environments(api, url, log_level, home.folder)
    to_greet = pickle.dumps((greeting, DEMO_MODEL if demo else None))
    door = redis.tls.command if redis.tls else ()
    plan = UpPlan(home, redis.server, bridges, known, to_greet, api.drain_s, log_level, once, door)
    start(replace(plan, sockets=[each.detach() for each in sockets]))


def _log_level_before() -> str | None:
    """That of `llamaq --log-level … up`, if it is typed there."""
    root = click.get_current_context().find_root()
    typed = root.get_parameter_source("log_level") is ParameterSource.COMMANDLINE
    return str(root.params["log_level"]) if typed else None


def _check_pairs(given: Mapping[str, bool], listens: object, demo: bool) -> None:
    for option, fits, with_what in (
        ("--redis-tls", listens, "--redis-listen or --lan"),
        ("--once", demo, "--demo"),
    ):
        if given[option] and not fits:
            raise click.UsageError(f"{option} goes with {with_what}")


def _open_home(data_dir: Path) -> Home:
    home = Home(data_dir.expanduser())
    home.create()
    if home.redis_url.exists() and (url := home.redis_url.read_text().strip()):
        asyncio.run(check_nobody_runs(url))
    return home


def _remember(home: Home, greeting: Greeting) -> None:
    """Tells `llamaq join` where the Redis of this `up` listens, and `llamaq dashboard` the API."""
    listen = greeting.redis_listen
    write_private(home.api_url, f"{greeting.local_url}\n")
    _keep(home.redis_listen, f"{in_url(listen.host)}:{listen.port}" if listen else "")
    _keep(home.redis_ca, greeting.redis_ca)


def _keep(path: Path, text: str) -> None:
    """The file has this text, or is not there if that is empty."""
    if text:
        write_private(path, f"{text}\n")
    else:
        path.unlink(missing_ok=True)


def _read_settings(
    home: Home,
    redis: EmbeddedRedis | None,
    given: Mapping[str, Any],
    sockets: Sequence[socket.socket],
) -> tuple[ApiSettings, str]:
    """The API's settings and the address of Redis; what the environment leaves out is made here."""
    if redis is not None:
        set_default("LLAMAQ_REDIS_URL", redis.url)
    if not is_set("LLAMAQ_JWT_SECRET"):
        set_default("LLAMAQ_JWT_SECRET", keep_secret(home.jwt_secret))
    loaded = load({QueueSettings: {}, ApiSettings: given})
    api: ApiSettings = loaded[ApiSettings]
    certificate(api)
    if sockets:
        api = at_their_address(api, sockets)
    else:
        check_port(api.host, api.port)
    if redis is None:
        with telling_unfit_redis():
            asyncio.run(check_at_start(loaded[QueueSettings]))
    return api, loaded[QueueSettings].redis_url.get_secret_value()


def _check_parts(models: Path | None, command: Sequence[str], demo: bool) -> None:
    from llamaq.demo_server import missing_demo_parts

    if models:
        check_host("up", models, command)
    else:
        check_command("up", command)
    if demo and (missing := missing_demo_parts()):
        raise click.ClickException("\n".join(missing))


def _demo_model(home: Home) -> Path:
    from llamaq.demo_model import write_demo_model  # numpy: only for the demo

    if not home.demo_model.exists():
        click.echo("Generating a tiny model…", err=True)
        write_demo_model(home.demo_model)
    return home.demo_model
