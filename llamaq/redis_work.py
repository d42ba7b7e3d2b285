"""Runs what a command does with the queue's Redis, and tells people when that is away."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click

from dispatcher.errors import RedisUnavailable
from dispatcher.queue_address import ABOUT, NoAddress, address_in
from llamaq.data_dir import kept_redis_url
from llamaq.environment import described, not_valid

T = TypeVar("T")

REDIS_SETTINGS = described(sorted(ABOUT.items()))
"""What the environment can tell a command that uses the queue's Redis, for its `--help`."""

_HINT = "Is LLAMAQ_REDIS_URL (or REDIS_URL) right?"


def with_redis_url(data_dir: Path, work: Callable[[str], Coroutine[Any, Any, T]]) -> T:
    """What the work returns for the address that `--data-dir` or the environment tells.

    Raises `click.ClickException` where there is none, or nobody answers.
    """
    kept = kept_redis_url(data_dir)
    try:
        return asyncio.run(work(kept or redis_url_in_environment()))
    except RedisUnavailable as error:
        hint = f"Does the `llamaq up` in {data_dir} still run?" if kept else _HINT
        raise click.ClickException(f"{error.message} {hint}") from error


def redis_url_in_environment() -> str:
    """The address that the environment tells. Raises `click.UsageError` where there is none."""
    try:
        return address_in(os.environ)
    except NoAddress as error:
        raise not_valid([(error.variable, error.reason)]) from None
