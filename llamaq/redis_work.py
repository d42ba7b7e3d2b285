"""Runs what a command does with the queue's Redis, and tells people when that is away."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click

from dispatcher.errors import RedisUnavailable
from dispatcher.settings import QueueSettings
from llamaq.data_dir import kept_redis_url
from llamaq.settings import load

T = TypeVar("T")

_HINT = "Is LLAMAQ_REDIS_URL (or REDIS_URL) right?"


def with_redis_url(data_dir: Path, work: Callable[[str], Coroutine[Any, Any, T]]) -> T:
    """What the work returns for the address that `--data-dir` or the environment tells.

    Raises `click.ClickException` where there is none, or nobody answers.
    """
    kept = kept_redis_url(data_dir)
    settings: QueueSettings = load({QueueSettings: {"redis_url": kept}})[QueueSettings]
    try:
        return asyncio.run(work(settings.redis_url.get_secret_value()))
    except RedisUnavailable as error:
        hint = f"Does the `llamaq up` in {data_dir} still run?" if kept else _HINT
        raise click.ClickException(f"{error.message} {hint}") from error
