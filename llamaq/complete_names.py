"""Names that a shell completes. They come from Redis; without it nothing is completed."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dispatcher.model_state import ModelState

_PATIENCE_S = 1.0
_Models = Sequence["ModelState"]


def worker_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The ids of live workers that begin like `incomplete`."""
    return _known(ctx, incomplete, lambda models: (one.id for m in models for one in m.workers))


def model_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The models that workers serve, or have served within a day."""
    return _known(ctx, incomplete, lambda models: (state.model for state in models))


def _known(
    ctx: click.Context, incomplete: str, names_of: Callable[[_Models], Iterable[str]]
) -> list[str]:
    """The names that a shell takes for one word: no blanks, no control characters."""
    names = sorted(filter(_is_word, names_of(_read(ctx))))
    return [name for name in names if name.startswith(incomplete)]


def _is_word(name: str) -> bool:
    return name.isprintable() and not set(name).intersection(" '\"\\$`:,")


def _read(ctx: click.Context) -> _Models:
    import asyncio
    from contextlib import aclosing

    from dispatcher.connection import open_redis
    from dispatcher.registry import read_models
    from llamaq.home import DEFAULT_FOLDER
    from llamaq.redis_work import with_redis_url

    async def read(redis_url: str) -> _Models:
        async with asyncio.timeout(_PATIENCE_S), aclosing(open_redis(redis_url)) as redis:
            return await read_models(redis)

    folder = ctx.params.get("data_dir") or DEFAULT_FOLDER
    try:
        with ctx.scope(cleanup=False):
            return with_redis_url(folder, read)
    except (click.ClickException, OSError, ValueError):  # a time-out is an OSError
        return ()
