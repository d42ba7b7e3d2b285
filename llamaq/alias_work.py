"""What `llamaq alias` does with the aliases in Redis."""

from functools import partial

from api.names import Models, is_here, model_named
from dispatcher.aliases import (
    ANY,
    BadAlias,
    check_alias,
    read_aliases,
    remove_alias,
    set_alias,
)
from dispatcher.keys import ALIASES
from dispatcher.registry import read_models
from llamaq.queue_redis import queue_redis

_aliases_in = partial(queue_redis, refused=f"to change {ALIASES}", mistakes=(BadAlias,))


async def put(name: str, model: str, redis_url: str) -> list[str]:
    """Sets an alias. Returns warnings for people.

    Raises `click.ClickException` for an alias that can't be set. Raises `RedisUnavailable`, as all
    here do.
    """
    async with _aliases_in(redis_url) as redis:
        check_alias(name, model)
        models = {state.model: state for state in await read_models(redis)}
        others = await read_aliases(redis)
        if model in others and model_named(model, models) is None:
            raise BadAlias(f"'{model}' is itself an alias, of '{others[model]}': name that.")
        await set_alias(redis, name, model)
        return _warnings(name, model, models)


def _warnings(name: str, model: str, models: Models) -> list[str]:
    warnings = []
    if model_named(model, models) is None:
        served = ", ".join(state.title for state in models.values() if state.workers)
        warnings.append(
            f"no worker has served a model '{model}' within a day, and requests fail until one "
            f"does. Served now: {served or 'none'}."
        )
    if name != ANY and name in models and is_here(models[name]):
        warnings.append(
            f"there is a model '{name}': it gets no requests by this name while the alias is set."
        )
    return warnings


async def remove(name: str, redis_url: str) -> None:
    """Removes an alias."""
    async with _aliases_in(redis_url) as redis:
        if not await remove_alias(redis, name):
            known = ", ".join(sorted(await read_aliases(redis)))
            raise BadAlias(f"There is no alias {name!r} in Redis. Set are: {known or 'none'}.")


async def list_all(redis_url: str) -> tuple[dict[str, str], set[str]]:
    """The aliases in order, and those of them whose model nobody has served lately."""
    async with _aliases_in(redis_url) as redis:
        aliases = dict(sorted((await read_aliases(redis)).items()))
        models = {state.model: state for state in await read_models(redis)}
    return aliases, {name for name, to in aliases.items() if model_named(to, models) is None}
