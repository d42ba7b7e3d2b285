"""What makes a mistake and what comes of it: a command in this process, a bridge, or a request."""

import asyncio
import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dispatcher.settings import QueueSettings
from dispatcher.tasks import cancel
from llamaq.__main__ import main
from testing.builders import SECRET
from tests.mistakes.page import GOES_ON, Row
from worker_bridge.service import run_bridge
from worker_bridge.settings import BridgeSettings

_LONGEST_S = 10.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was said, and how it ended: an exit code, a status of HTTP, or that it goes on."""

    end: str
    said: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a mistake is made. `folder` is its own and empty, `redis_url` a real server for all."""

    row: Row
    folder: Path
    redis_url: str
    monkeypatch: pytest.MonkeyPatch

    @property
    def api(self) -> dict[str, str]:
        """The settings of an API."""
        return {"LLAMAQ_REDIS_URL": self.redis_url, "LLAMAQ_JWT_SECRET": SECRET}

    @property
    def bridge(self) -> dict[str, str]:
        """The settings of a bridge."""
        return {"LLAMAQ_REDIS_URL": self.redis_url}

    def run(self, *arguments: str, **environment: str) -> Outcome:
        """What a command says, as typed at a terminal with no setting but these."""
        ours = {name: None for name in os.environ if name.startswith(("LLAMAQ_", "REDIS_"))}
        told: Mapping[str, str | None] = {**ours, "HOME": str(self.folder), **environment}
        done = CliRunner().invoke(main, list(arguments), env=told)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Outcome(str(done.exit_code), done.stderr)

    def output(self, *arguments: str) -> str:
        """What a command prints that goes well."""
        return CliRunner().invoke(main, list(arguments), env=self.bridge).stdout

    def up(self, *arguments: str, **environment: str) -> Outcome:
        """What `up` says of which nothing is started."""
        for name in ("LLAMAQ_REDIS_URL", "LLAMAQ_JWT_SECRET"):  # `up` leaves them behind
            self.monkeypatch.setenv(name, "")
        return self.run(
            "up", "--no-find", "--data-dir", str(self.folder), *arguments, **environment
        )

    def serve(self, server: str = "", *command: str, **settings: Any) -> Outcome:
        """What a bridge says that goes on, until it has said what the page tells."""
        return asyncio.run(self._serve(server, command, settings))

    async def _serve(
        self, server: str, command: tuple[str, ...], settings: dict[str, Any]
    ) -> Outcome:
        redis_url = settings.pop("redis_url", self.redis_url)
        given = settings | ({"server": server} if server else {})
        queue = QueueSettings(redis_url=redis_url)
        heard = _Ear(self.row.sentence)
        with heard:
            bridge = asyncio.create_task(run_bridge([BridgeSettings(**given)], queue, command))
            heeding = asyncio.create_task(heard.understood.wait())
            await asyncio.wait({bridge, heeding}, timeout=_LONGEST_S, return_when="FIRST_COMPLETED")
            assert not bridge.done(), bridge
            await cancel([bridge, heeding])
        return Outcome(GOES_ON, "\n".join(heard.lines))


class _Ear(logging.Handler):
    """Hears what is logged for people, until a sentence is among it."""

    def __init__(self, sentence: re.Pattern[str]) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []
        self.understood = asyncio.Event()
        self._sentence = sentence
        self._logger = logging.getLogger("llamaq")

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))
        if self._sentence.search(self.lines[-1]):
            self.understood.set()

    def __enter__(self) -> None:
        self._level = self._logger.level
        self._logger.setLevel(logging.INFO)
        self._logger.addHandler(self)

    def __exit__(self, *_: object) -> None:
        self._logger.setLevel(self._level)
        self._logger.removeHandler(self)


Make = Callable[[Place], Outcome]
MISTAKES: dict[str, Make] = {}
"""What makes each mistake of the page, by its words there."""


def mistake(words: str) -> Callable[[Make], Make]:
    """Registers what makes this mistake."""

    def register(make: Make) -> Make:
        assert words not in MISTAKES
        MISTAKES[words] = make
        return make

    return register
