"""What the owner of a machine orders on it: a file that only its user can write, for its bridges.

It needs neither Redis nor a token.
"""

import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from worker_bridge.hours import Hours, parse_hours

_FILE, _HEEDED = "pause", "pause-heeded-by-"
_MOST_BYTES = 4096
_STEPS = 16
_LATEST_S = 4e9  # in the year 2096


@dataclass(frozen=True, slots=True)
class Pause:
    """No jobs until a Unix time, and within these hours of each day; empty: never.

    With `unload` servers free their memory meanwhile. `stamp` tells one order from another.
    """

    until_s: float = 0
    hours: str = ""
    unload: bool = False
    stamp: str = ""

    @property
    def daily(self) -> Hours | None:
        """Its hours. Raises `ValueError`."""
        return parse_hours(self.hours) if self.hours else None


NO_PAUSE = Pause()


@dataclass(frozen=True, slots=True)
class Heeded:
    """A bridge has read the order of this stamp. It `frees` the memory of its server if told to."""

    stamp: str
    bridge: str
    frees: bool


def paused_until(pause: Pause, work: Hours | None, now_s: float) -> float:
    """The Unix time until which nothing is to be done, 0 where something is; `work` are the hours
    outside which a bridge does nothing either.
    """
    daily, at = pause.daily, now_s
    for _ in range(_STEPS):  # one may begin where the other ends
        ends = [pause.until_s if pause.until_s > at else None]
        ends.append(daily.end_of(at) if daily else None)
        ends.append(work.next_begin(at) if work and work.end_of(at) is None else None)
        later = [end for end in ends if end is not None]
        if not later:
            break
        at = max(later)
    return at if at > now_s else 0


def read_pause(folder: Path) -> Pause:
    """The order in the folder of a user's llamaq. Raises `OSError`, and `ValueError` for another
    text.
    """
    try:
        with (folder / _FILE).open("rb") as file:
            said = json.loads(file.read(_MOST_BYTES))
    except FileNotFoundError:
        return NO_PAUSE
    if not isinstance(said, dict):
        raise ValueError("it is no object")
    hours, stamp = str(said.get("hours", "")), str(said.get("stamp", ""))
    until_s = min(float(said.get("until_s", 0)), _LATEST_S)
    pause = Pause(until_s, hours, said.get("unload") is True, stamp)
    _ = pause.daily  # raises
    return pause


def mark_of(folder: Path) -> tuple[int, ...]:
    """Another one when the order has changed; empty where there is none."""
    try:
        about = (folder / _FILE).stat()
    except (OSError, ValueError):
        return ()
    return about.st_mtime_ns, about.st_ino, about.st_size


def write_pause(folder: Path, pause: Pause) -> Pause:
    """Puts an order there, with a new stamp. Raises `OSError`."""
    stamped = replace(pause, stamp=secrets.token_hex(8))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in folder.glob(f"{_HEEDED}*"):
        old.unlink(missing_ok=True)
    _write(folder / _FILE, json.dumps(asdict(stamped)))
    return stamped


def tell_heeded(folder: Path, heeded: Heeded) -> None:
    """A bridge says that it has read the order, where it can."""
    with suppress(OSError):
        _write(folder / f"{_HEEDED}{os.getpid()}", json.dumps(asdict(heeded)))


def who_heeds(folder: Path, stamp: str) -> list[Heeded]:
    """The bridges that have read the order of this stamp, by name."""
    found = []
    for path in folder.glob(f"{_HEEDED}*"):
        with suppress(OSError, ValueError, TypeError):
            heeded = Heeded(**json.loads(path.read_bytes()[:_MOST_BYTES]))
            if heeded.stamp == stamp:
                found.append(heeded)
    return sorted(found, key=lambda each: str(each.bridge))


def _write(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.replace(path)
