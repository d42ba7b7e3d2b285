"""`llamaq tenant`: limits what tenants may use."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from api.claim_values import MAX_SUBJECT_CHARS
from llamaq import tenant_work
from llamaq.amount import Amount
from llamaq.data_dir import beside_up_option
from llamaq.json_option import in_columns, json_option, tell, warn
from llamaq.redis_work import REDIS_SETTINGS, with_redis_url
from llamaq.tenant_work import OPTIONS, in_words

_DATA_DIR = beside_up_option()
_USER = click.option(
    "--user",
    default="",
    help="An end user of NAME, which speaks for many (`token create --delegate`); '*' (in quotes) "
    "stands for each of them.",
)


class _Name(click.ParamType[str]):
    """The name of a tenant."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        if not 0 < len(text) <= MAX_SUBJECT_CHARS or not text.isprintable() or not text.strip():
            most = f"give 1 to {MAX_SUBJECT_CHARS} characters"
            self.fail(f"{text[:80]!r} can't be a name: {most}", param, ctx)
        return text


_NAME = click.argument("name", type=_Name())


@click.group()
def tenant() -> None:
    """Limits of what tenants may use, kept in Redis.

    A tenant is the subject of a token. No limit goes beyond what its token claims. The name '*' (in
    quotes) stands for each tenant without a limit of its own.
    """


@tenant.command("set", epilog=REDIS_SETTINGS)
@_NAME
@_USER
@click.option("--rpm", type=Amount(), help="Requests in any 60 seconds.")
@click.option(
    "--tokens-per-day", type=Amount(), help="Tokens of prompts and answers; days are UTC."
)
@click.option("--tokens-per-month", type=Amount(), help="The same per month.")
@click.option("--concurrent", type=Amount(), help="Requests that are open at a time.")
@click.option("--models", help="The models that it may use, with commas between; '*': all.")
@json_option
@_DATA_DIR
def set_(name: str, user: str, for_programs: bool, data_dir: Path, **options: Any) -> None:
    """Limit what NAME may use, on every API within a second.

    Limits that are not named stay as they are. 0 is no limit, also where there is one for '*'.
    """
    given = {option.replace("_", "-"): value for option, value in options.items()}
    setting = {OPTIONS[name]: value for name, value in given.items() if value is not None}
    if not setting:
        raise click.UsageError("Name a limit, such as --rpm 60.")
    if "models" in setting:
        setting["models"] = list(filter(None, map(str.strip, setting["models"].split(","))))
    changed, unserved = with_redis_url(data_dir, partial(tenant_work.put, name, user, setting))
    warn(*(f"no worker has served a model '{model}' within a day." for model in unserved))
    shape = {"tenant": name, "user": user, "limits": changed, "unserved": unserved}
    text = f"{_whose(name, user)}: {in_words(changed)}, on every API within a second."
    tell(shape, text, for_programs=for_programs)


@tenant.command(epilog=REDIS_SETTINGS)
@_NAME
@_USER
@json_option
@_DATA_DIR
def remove(name: str, user: str, for_programs: bool, data_dir: Path) -> None:
    """Forget the limits that are set for NAME, on every API within a second."""
    with_redis_url(data_dir, partial(tenant_work.remove, name, user))
    text = f"{_whose(name, user)}: nothing is set any more. What is set for '*' holds."
    tell({"tenant": name, "user": user, "removed": True}, text, for_programs=for_programs)


@tenant.command("show", epilog=REDIS_SETTINGS)
@_NAME
@_USER
@json_option
@_DATA_DIR
def show_(name: str, user: str, for_programs: bool, data_dir: Path) -> None:
    """Show the limits that hold for NAME, those of '*' included."""
    limits = with_redis_url(data_dir, partial(tenant_work.show, name, user))
    tell(limits, in_words(limits), for_programs=for_programs)


@tenant.command("list", epilog=REDIS_SETTINGS)
@json_option
@_DATA_DIR
def list_(for_programs: bool, data_dir: Path) -> None:
    """Show all limits that are set."""
    settings = with_redis_url(data_dir, tenant_work.list_all)
    rows = {name: in_words(setting) for name, setting in settings.items()}
    none = "No limit is set: set one with `llamaq tenant set NAME --rpm 60`."
    tell(settings, in_columns(rows) or none, for_programs=for_programs)


def _whose(name: str, user: str) -> str:
    whose = "each tenant without limits of its own" if name == "*" else f"'{name}'"
    if not user:
        return whose[0].upper() + whose[1:]
    return f"{'Each end user' if user == '*' else f'The end user {user!r}'} of {whose}"
