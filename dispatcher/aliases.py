"""The names that operators give to models: one HASH in Redis, name → model."""

import asyncio
import logging
from collections.abc import Mapping

from redis.exceptions import ResponseError

from dispatcher.connection import LinkedRedis
from dispatcher.keys import ALIASES

ANY = "*"
"""The alias for requests that name no model, or one that does not exist."""

MAX_NAME_CHARS = 256
MOST_ALIASES = 1000

log = logging.getLogger("llamaq.aliases")


class BadAlias(Exception):
    """A name that no model can have; the message says why."""


def check_alias(name: str, model: str) -> None:
    """Raises `BadAlias` unless the name can be an alias of the model."""
    for what, said in (("name", name), ("model's name", model)):
        if not is_name(said):
            raise BadAlias(
                f"{said[:80]!r} can't be a {what}: it may have 1 to {MAX_NAME_CHARS} characters, "
                "none of them a control character, and no blank at its ends."
            )
    if model == ANY:
        raise BadAlias(f"'{ANY}' stands for any other name: it can't be the model of one.")
    if name == model:
        raise BadAlias(f"'{name}' would be an alias of itself: name another model.")


def is_name(text: str) -> bool:
    """Whether a model can be called so."""
    return 0 < len(text) <= MAX_NAME_CHARS and text.isprintable() and text == text.strip()


async def read_aliases(redis: LinkedRedis) -> dict[str, str]:
    """All of them, by name. What can't be one is left out, and logged.

    Raises `RedisUnavailable`.
    """
    try:
        said = await redis.link.call("HGETALL", ALIASES)
    except ResponseError as error:
        log.error("The aliases in %s can't be read: %s", ALIASES, error)
        return {}
    words = [word.decode(errors="replace") for word in said]
    aliases = {}
    for name, model in zip(words[::2], words[1::2], strict=True):
        try:
            check_alias(name, model)
        except BadAlias as error:
            log.error("An alias in %s is left out: %s", ALIASES, error)
        else:
            aliases[name] = model
    return aliases


async def set_alias(redis: LinkedRedis, name: str, model: str) -> None:
    """Gives the model one more name, or takes the name from another one.

    Raises `BadAlias` where there are too many, `RedisUnavailable` and `ResponseError`.
    """
    known, many = await asyncio.gather(
        redis.link.call("HEXISTS", ALIASES, name), redis.link.call("HLEN", ALIASES)
    )
    if not known and many >= MOST_ALIASES:
        raise BadAlias(f"There are {many} aliases already: remove one first.")
    await redis.link.call("HSET", ALIASES, name, model)


async def remove_alias(redis: LinkedRedis, name: str) -> bool:
    """Returns whether there was one. Raises `RedisUnavailable` and `ResponseError`."""
    return bool(await redis.link.call("HDEL", ALIASES, name))


def parse_aliases(text: str) -> Mapping[str, str]:
    """Those of a setting. Raises `BadAlias`.

    >>> parse_aliases("gpt-4o=qwen3, *=tiny")
    {'gpt-4o': 'qwen3', '*': 'tiny'}
    """
    aliases: dict[str, str] = {}
    for pair in filter(None, map(str.strip, text.split(","))):
        name, equals, model = (word.strip() for word in pair.partition("="))
        if not equals:
            raise BadAlias(f"{pair[:80]!r} is no alias: write NAME=MODEL, with commas between.")
        check_alias(name, model)
        if aliases.setdefault(name, model) != model:
            raise BadAlias(f"{name!r} is an alias of two models: choose one.")
    return aliases
