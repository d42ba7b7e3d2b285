"""A data folder that can't be used ends `up` with a sentence in place of a traceback."""

import errno
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

_FULL = errno.ENOSPC, errno.EDQUOT


def telling_folder_faults(command: Callable[..., None]) -> Callable[..., None]:
    """Turns every `OSError` of a command with a `data_dir` into a `click.ClickException`."""

    @functools.wraps(command)
    def run(*, data_dir: Path, **options: Any) -> None:
        try:
            command(data_dir=data_dir, **options)
        except OSError as error:
            raise click.ClickException(sentence(error, data_dir)) from error

    return run


def sentence(error: OSError, folder: Path) -> str:
    """What went wrong, where, and what to do."""
    if isinstance(error, TimeoutError):
        return str(error) or "an answer did not come in time; try again"
    if error.errno is None:  # how numpy tells of a full disk
        return f"can't write to {folder} ({error}): is its disk full? Choose another --data-dir"
    where = error.filename or folder
    if error.errno in _FULL:
        return f"no space is left to write {where}: free some, or choose another --data-dir"
    return (
        f"can't use {where} ({error.strerror}): let this user write there, or choose another "
        "folder with --data-dir"
    )
