"""Heeds what the owner of this machine orders: looks once a second whether that has changed."""

import logging
import socket
import time
from datetime import datetime
from pathlib import Path

from worker_bridge.hours import Hours
from worker_bridge.pause import (
    NO_PAUSE,
    Heeded,
    mark_of,
    paused_until,
    read_pause,
    tell_heeded,
)
from worker_bridge.settings import BridgeSettings

log = logging.getLogger("llamaq.bridge")

_EVERY_S = 0.5


class PauseWatch:
    """Whether the workers of this process are paused, `until_s` in Unix time; 0: they are not.

    The order is in `folder`; the answer to it names `bridge`. Outside the hours of `work` they
    are paused, too. `frees`: this process can make its servers free their memory.
    """

    def __init__(
        self,
        folder: Path | None = None,
        bridge: str = "",
        work: Hours | None = None,
        *,
        frees: bool = False,
    ) -> None:
        self.until_s = 0.0
        self._folder = folder
        self._bridge = bridge
        self._work = work
        self._frees = frees
        self._pause = NO_PAUSE
        self._mark: tuple[int, ...] = ()
        self._looked_at = float("-inf")

    @property
    def unloads(self) -> bool:
        """Whether servers must free their memory now."""
        return self.until_s > 0 and self._pause.unload and self._frees

    @property
    def reason(self) -> str:
        """Why the workers do nothing, for people; empty where they do something."""
        if not self.until_s:
            return ""
        until = f"{datetime.fromtimestamp(self.until_s).astimezone():%Y-%m-%d %H:%M %Z}"
        return f"the owner of its machine has paused it until {until}"

    def look(self) -> None:
        """Looks, unless that was done a moment ago."""
        if time.monotonic() - self._looked_at < _EVERY_S:
            return
        self._looked_at = time.monotonic()
        if self._folder is not None:
            self._read(self._folder)
        until_s = paused_until(self._pause, self._work, time.time())
        if until_s != self.until_s:
            self.until_s = until_s
            log.warning("%s", self.reason or "the owner of this machine has ended the pause")

    def _read(self, folder: Path) -> None:
        mark = mark_of(folder)
        if mark == self._mark:
            return
        self._mark = mark
        try:
            self._pause = read_pause(folder)
        except (OSError, ValueError, OverflowError) as error:
            log.error("The pause in %s can't be read, and what was known stays: %r", folder, error)
            return
        if self._pause.stamp:
            tell_heeded(folder, Heeded(self._pause.stamp, self._bridge, self._frees))


def watch_pause(settings: BridgeSettings, *, frees: bool) -> PauseWatch:
    """The watch of a process with these settings."""
    name = settings.worker_name or socket.gethostname()
    return PauseWatch(settings.data_dir.expanduser(), name, settings.work, frees=frees)
