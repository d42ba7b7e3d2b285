"""What `llamaq tenant` does with the limits in Redis."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from api.names import model_named
from dispatcher.keys import TENANTS
from dispatcher.limits import COUNTED
from dispatcher.registry import read_models
from dispatcher.tenant_limits import (
    ANY,
    BadLimits,
    Setting,
    field_of,
    limits_among,
    read_settings,
    remove_limits,
    set_limits,
)
from llamaq.amount import written
from llamaq.queue_redis import queue_redis

OPTIONS = {
    "rpm": "requests_per_minute",
    "tokens-per-day": "tokens_per_day",
    "tokens-per-month": "tokens_per_month",
    "concurrent": "concurrent",
    "models": "models",
}
"""The options of `llamaq tenant set`, and what they set."""

_limits_in = partial(queue_redis, refused=f"to change {TENANTS}", mistakes=(BadLimits,))


async def put(
    tenant: str, user: str, setting: Setting, redis_url: str
) -> tuple[Setting, list[str]]:
    """Sets some limits. Returns all that is set there now, and models that nobody serves.

    Raises `click.ClickException` for limits that can't be, and `RedisUnavailable`, as all here do.
    """
    async with _limits_in(redis_url) as redis:
        changed = await set_limits(redis, field_of(tenant, user), setting)
        models = {state.model: state for state in await read_models(redis)}
        named = [name for name in setting.get("models", ()) if name != ANY]
        return changed, [name for name in named if model_named(name, models) is None]


async def remove(tenant: str, user: str, redis_url: str) -> None:
    """Removes what is set for a tenant, or an end user."""
    async with _limits_in(redis_url) as redis:
        name = field_of(tenant, user)
        if not await remove_limits(redis, name):
            known = ", ".join(sorted(await read_settings(redis)))
            raise BadLimits(f"No limits are set for {name!r}. Set are: {known or 'none'}.")


async def list_all(redis_url: str) -> dict[str, Setting]:
    """What is set, by the names of the fields, in order."""
    async with _limits_in(redis_url) as redis:
        return dict(sorted((await read_settings(redis)).items()))


async def show(tenant: str, user: str, redis_url: str) -> dict[str, Any]:
    """The limits of a tenant, or an end user, those that are set for all included."""
    async with _limits_in(redis_url) as redis:
        settings = await read_settings(redis)
    limits = limits_among(settings, tenant, user)
    told: dict[str, Any] = {name: getattr(limits, name, 0) for name in COUNTED}
    models = limits.models if limits else None
    return told | {"models": [ANY] if models is None else sorted(models)}


def in_words(setting: Mapping[str, Any]) -> str:
    """The limits in one line, by the names of the options."""
    words = []
    for option, name in OPTIONS.items():
        if name in setting:
            value = setting[name]
            said = ",".join(value) if isinstance(value, list) else written(value)
            words.append(f"{option}={said}")
    return " ".join(words) or "nothing"
