"""From the plan of `llamaq up` to the small program that carries it out."""

import os
import pickle
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import click

from api.settings import ApiSettings
from llamaq.child_environment import of_api, of_bridge, of_redis
from llamaq.embedded_redis import prepare
from llamaq.logs import LOG_LEVEL
from llamaq.supervisor import become
from llamaq.tls_options import tls_variables
from llamaq.up_plan import METRICS_LISTEN, UpPlan


def environments(
    api: ApiSettings, redis_url: str, log_level: str, folder: Path
) -> Mapping[str, Mapping[str, str]]:
    """That of each kind of process."""
    told = {"LLAMAQ_REDIS_URL": redis_url, LOG_LEVEL: log_level}
    of_its_own = {
        "LLAMAQ_JWT_SECRET": api.jwt_secret.get_secret_value(),
        "LLAMAQ_HOST": api.host,
        "LLAMAQ_PORT": str(api.port),
        METRICS_LISTEN: api.metrics_listen,
        **tls_variables(api),
    }
    # Only one bridge gets models, and each gets an address of its own for its metrics. All look
    # into the folder to see whether this machine's owner has paused them.
    told_apart = dict.fromkeys(("LLAMAQ_MODELS", METRICS_LISTEN), "")
    of_bridges = {**told_apart, "LLAMAQ_DATA_DIR": str(folder.absolute())}
    return {
        "redis": of_redis(os.environ),
        "api": of_api(os.environ, told | of_its_own),
        "bridge": of_bridge(os.environ, told | of_bridges),
    }


def start(plan: UpPlan) -> NoReturn:
    """Becomes the program that runs what was planned. Raises `OSError`."""
    if plan.redis is not None:
        try:
            prepare(plan.redis)
        except ValueError as error:
            raise click.ClickException(str(error)) from error
    with tempfile.TemporaryFile(dir=plan.home.folder) as file:  # only this user can read it
        pickle.dump(plan, file)
        file.seek(0)
        environment = plan.environments["redis"]  # it needs no setting
        inherited = [file.fileno(), *plan.sockets]
        become("llamaq.up", file.fileno(), environment=environment, inherited=inherited)
