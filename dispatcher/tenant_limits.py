"""The limits that operators set for tenants: one HASH in Redis, which every API knows in a second.

The fields are `TENANT` and, for an end user of a delegate, `TENANT/USER`, as `tenant_key` spells
them. `*` stands for each one that has no field of its own, or none of the limits there. The values
are JSON objects. `|version` is another one after each change.
"""

import json
import logging
import secrets
from collections.abc import Mapping
from typing import Any

from redis.exceptions import ResponseError

from dispatcher.aliases import is_name
from dispatcher.connection import LinkedRedis
from dispatcher.job import tenant_key
from dispatcher.keys import TENANTS
from dispatcher.limits import COUNTED, LARGEST, Limits

ANY = "*"
MOST_MODELS = 256
MOST_SET = 10_000

_VERSION = "|version"
_MODELS = "models"

log = logging.getLogger("llamaq.limits")

Setting = Mapping[str, Any]
"""Some of the limits by the names that they have in `Limits`; 0, or the model `*`: none at all."""


class BadLimits(Exception):
    """These can't be limits; the message says why."""


def field_of(tenant: str, user: str = "") -> str:
    """Where the limits of a tenant stand, or those of an end user of it.

    >>> field_of("ann"), field_of("webui", "u/1"), field_of("webui", "*"), field_of("*")
    ('ann', 'webui/u%2F1', 'webui/*', '*')
    """
    whose = tenant if tenant == ANY else tenant_key(tenant)
    if not user:
        return whose
    return f"{whose}/{user if user == ANY else tenant_key(user)}"


def check_setting(setting: Any) -> Setting:
    """Returns it unchanged, or raises `BadLimits`."""
    if not isinstance(setting, dict) or not set(setting) <= {*COUNTED, _MODELS}:
        raise BadLimits(f"They must be an object with some of {', '.join((*COUNTED, _MODELS))}.")
    for name in COUNTED:
        value = setting.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST:
            raise BadLimits(f"`{name}` must be a whole number from 0, which is no limit.")
    models = setting.get(_MODELS, [])
    is_list = isinstance(models, list) and len(models) <= MOST_MODELS
    if not is_list or not all(isinstance(model, str) and is_name(model) for model in models):
        raise BadLimits(f"`models` must be up to {MOST_MODELS} names of models.")
    return setting


class TenantLimits:
    """What one process knows of them. It puts back what Redis has lost."""

    def __init__(self) -> None:
        self._settings: Mapping[str, Setting] = {}
        self._version: bytes | None = None
        self._known: dict[tuple[str, str], Limits | None] = {}

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._settings)

    def of(self, tenant: str, user: str = "") -> Limits | None:
        """The limits of a tenant, or of an end user of it; None where there are none."""
        name = tenant, user
        if name not in self._known:
            if len(self._known) >= MOST_SET:
                self._known.clear()
            self._known[name] = limits_among(self._settings, tenant, user)
        return self._known[name]

    async def read(self, redis: LinkedRedis) -> None:
        """Looks whether they have changed. Raises `RedisUnavailable`."""
        try:
            version = await redis.link.call("HGET", TENANTS, _VERSION)
            if version is None and self._settings:
                log.warning("Redis has lost the limits of tenants: they are put back")
                await _write(redis, self._settings)
            if version is None or version == self._version:
                return
            settings = await read_settings(redis)
        except ResponseError as error:
            log.error("The limits of tenants in %s can't be read: %s", TENANTS, error)
            return
        self._settings, self._version = settings, version
        self._known = {}


def limits_among(settings: Mapping[str, Setting], tenant: str, user: str = "") -> Limits | None:
    """What they say of a tenant, or of an end user of it.

    >>> settings = {"*": {"concurrent": 2, "tokens_per_day": 9}, "ann": {"concurrent": 0}}
    >>> limits_among(settings, "ann").tokens_per_day, limits_among(settings, "ann").concurrent
    (9, 0)
    """
    names = [field_of(ANY), field_of(tenant)]
    if user:
        names = [field_of(ANY, ANY), field_of(tenant, ANY), field_of(tenant, user)]
    said: dict[str, Any] = {}
    for name in names:
        said |= settings.get(name, {})
    models = said.pop(_MODELS, [ANY])
    limits = Limits(**said, models=None if ANY in models else frozenset(models))
    return None if limits == Limits() else limits


async def read_settings(redis: LinkedRedis) -> dict[str, Setting]:
    """All of them, by field. What can't be read is left out, and logged.

    Raises `RedisUnavailable` and `ResponseError`.
    """
    said = await redis.link.call("HGETALL", TENANTS)
    words = [word.decode(errors="replace") for word in said]
    settings = {}
    for name, text in zip(words[::2], words[1::2], strict=True):
        if name == _VERSION:
            continue
        try:
            settings[name] = check_setting(json.loads(text))
        except (ValueError, RecursionError, BadLimits) as error:
            log.error("The limits of %r in %s are left out: %s", name[:80], TENANTS, error)
    return settings


async def set_limits(redis: LinkedRedis, name: str, setting: Setting) -> Setting:
    """Adds to what is set under the name of a field; returns all that is set there now.

    Raises `BadLimits`, `RedisUnavailable` and `ResponseError`.
    """
    settings = await read_settings(redis)
    if name not in settings and len(settings) >= MOST_SET:
        raise BadLimits(f"There are limits of {len(settings)} tenants already: remove some first.")
    changed = check_setting({**settings.get(name, {}), **setting})
    await _write(redis, {name: changed})
    return changed


async def remove_limits(redis: LinkedRedis, name: str) -> bool:
    """Returns whether there were any. Raises `RedisUnavailable` and `ResponseError`."""
    removed = await redis.link.call("HDEL", TENANTS, name)
    await _write(redis, {})
    return bool(removed)


async def _write(redis: LinkedRedis, settings: Mapping[str, Setting]) -> None:
    """In one command: a reader of the new version sees what is new."""
    words = [_VERSION, secrets.token_hex(8)]
    for name, setting in settings.items():
        words += [name, json.dumps(setting, separators=(",", ":"))]
    await redis.link.call("HSET", TENANTS, *words)
