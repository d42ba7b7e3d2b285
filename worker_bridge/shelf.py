"""The models that a bridge could serve: a folder of GGUF files, or a file of presets."""

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from worker_bridge.names import MAX_NAME_CHARS, PLAIN_NAME
from worker_bridge.presets import (
    FOR_ALL,
    BadPresets,
    Options,
    model_file,
    names_model,
    read_presets,
    variables_of,
    words_of,
)

log = logging.getLogger("llamaq.bridge")

_PLAIN = re.compile(PLAIN_NAME)
_SHARD = re.compile(r"-(\d{5})-of-\d{5}$")
_FIRST_SHARD = "00001"
_PROJECTOR = "mmproj"
_LARGEST_PRESETS_BYTES = 2**20


class BadShelf(Exception):
    """There is nothing to serve here, or it can't be told what; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Shelved:
    """A model that could be loaded, by the name that clients use.

    `words` are options of llama-server, `variables` its environment variables. `stamp` is another
    one after a change of its file.
    """

    name: str
    words: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    stamp: tuple[int, int] = (0, 0)


Shelf = Mapping[str, Shelved]
"""The models by name."""


def read_shelf(place: Path) -> Shelf:
    """What lies in a folder, or what a file of presets names. Raises `BadShelf`."""
    place = place.expanduser()
    try:
        found = list(_in_folder(place) if place.is_dir() else _in_presets(place))
    except FileNotFoundError as error:
        raise BadShelf(f"{place}: there is no such folder or file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadShelf(f"{place} can't be read: {error}") from error
    shelf: dict[str, Shelved] = {}
    for model in found:
        if model.name in shelf:
            raise BadShelf(f"{place} has two models named '{model.name}': rename one of them")
        shelf[model.name] = model
    if not shelf:
        raise BadShelf(f"{place} has no model: put GGUF files there (NAME.gguf)")
    return shelf


def _in_folder(folder: Path) -> Iterator[Shelved]:
    """As llama-server's `--models-dir`: files, and folders of one model with all its files."""
    for path in _visible(folder):
        if path.is_dir():
            yield from _of_one_folder(path)
        elif _is_model(path):
            yield from _named(_stem(path), path)


def _of_one_folder(folder: Path) -> Iterator[Shelved]:
    files = [path for path in _visible(folder) if path.is_file()]
    models = [path for path in files if _is_model(path)]
    projectors = [path for path in files if path.suffix == ".gguf" and _PROJECTOR in path.name]
    more = ("--mmproj", str(projectors[0])) if projectors else ()
    for path in models:
        yield from _named(folder.name if len(models) == 1 else _stem(path), path, *more)


def _named(name: str, path: Path, *more: str) -> Iterator[Shelved]:
    if _fits(name):
        yield Shelved(name, ("--model", str(path), *more), stamp=_stamp(path))


def _fits(name: str) -> bool:
    fits = len(name) <= MAX_NAME_CHARS and name.isprintable() and bool(_PLAIN.fullmatch(name))
    if not fits:
        log.warning(
            "%r is not served: a model's name may have up to %s characters, no blanks and none of "
            "{}|. Rename the file.",
            name[:MAX_NAME_CHARS],
            MAX_NAME_CHARS,
        )
    return fits


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _is_model(path: Path) -> bool:
    """Whether it is a model, and of one in several files the first."""
    if path.suffix != ".gguf" or _PROJECTOR in path.name:
        return False
    shard = _SHARD.search(path.stem)
    return shard is None or shard[1] == _FIRST_SHARD


def _stem(path: Path) -> str:
    return _SHARD.sub("", path.stem)


def _stamp(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_mtime_ns, about.st_size


def _in_presets(file: Path) -> Iterator[Shelved]:
    if file.stat().st_size > _LARGEST_PRESETS_BYTES:
        raise BadShelf(f"{file} is no file of presets: give the folder that the model lies in")
    try:
        sections = read_presets(file.read_text())
    except BadPresets as error:
        raise BadShelf(f"{file}: {error}") from error
    for_all = sections.pop(FOR_ALL, {})
    for name, own in sections.items():
        yield from _preset(file, name, {**for_all, **own})


def _preset(file: Path, name: str, options: Options) -> Iterator[Shelved]:
    if not names_model(options):
        raise BadShelf(f"{file}: [{name}] names no model: add `model = /path/to/NAME.gguf`")
    path = model_file(options)
    if path is not None and not Path(path).is_file():
        log.warning("'%s' is not served: %s is no file (%s)", name, path, file)
    elif _fits(name):
        stamp = (0, 0) if path is None else _stamp(Path(path))
        yield Shelved(name, words_of(options), variables_of(options), stamp)
