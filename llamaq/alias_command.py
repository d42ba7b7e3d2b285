"""`llamaq alias`: gives models more names."""

from functools import partial
from pathlib import Path

import click

from llamaq import alias_work
from llamaq.complete_names import model_names
from llamaq.data_dir import beside_up_option
from llamaq.json_option import in_columns, json_option, tell, warn
from llamaq.redis_work import REDIS_SETTINGS, with_redis_url

_DATA_DIR = beside_up_option()


@click.group()
def alias() -> None:
    """More names for models, kept in Redis.

    An alias overrides the names that workers have, and LLAMAQ_ALIASES of the API. The alias '*' is
    the default: it stands for every name that nobody has, and for none.
    """


@alias.command("set", epilog=REDIS_SETTINGS)
@click.argument("name")
@click.argument("model", shell_complete=model_names)
@json_option
@_DATA_DIR
def set_(name: str, model: str, for_programs: bool, data_dir: Path) -> None:
    """Let requests for NAME go to MODEL, on every API within a second.

    NAME '*' (in quotes) makes MODEL the default, for requests that name no model, or one that
    nobody has.
    """
    warnings = with_redis_url(data_dir, partial(alias_work.put, name, model))
    warn(*warnings)
    whose = "that name no model, or an unknown one," if name == "*" else f"for '{name}'"
    text = f"Requests {whose} go to the model '{model}', on every API within a second."
    tell({"alias": name, "model": model, "warnings": warnings}, text, for_programs=for_programs)


@alias.command(epilog=REDIS_SETTINGS)
@click.argument("name")
@json_option
@_DATA_DIR
def remove(name: str, for_programs: bool, data_dir: Path) -> None:
    """Forget the alias NAME, on every API within a second."""
    with_redis_url(data_dir, partial(alias_work.remove, name))
    text = f"'{name}' is no alias any more. One in LLAMAQ_ALIASES of the API stays."
    tell({"alias": name, "removed": True}, text, for_programs=for_programs)


@alias.command("list", epilog=REDIS_SETTINGS)
@json_option
@_DATA_DIR
def list_(for_programs: bool, data_dir: Path) -> None:
    """Show the aliases in Redis. /v1/models also shows those of LLAMAQ_ALIASES and of workers."""
    aliases, unserved = with_redis_url(data_dir, alias_work.list_all)
    missing = dict.fromkeys(unserved, "  (no worker has served it within a day)")
    rows = {name: f"{model}{missing.get(name, '')}" for name, model in aliases.items()}
    none = "No alias is set: set one with `llamaq alias set NAME MODEL`."
    tell(aliases, in_columns(rows) or none, for_programs=for_programs)
