"""What a program that has ended wrote last."""

import asyncio
import io
import sys
from types import SimpleNamespace

import pytest

from worker_bridge.last_words import LastWords


class Closed(io.RawIOBase):
    def write(self, _: object) -> int:
        raise BrokenPipeError


async def read(said: bytes, monkeypatch: pytest.MonkeyPatch, to: io.IOBase) -> LastWords:
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(buffer=to))
    errors, words = asyncio.StreamReader(), LastWords()
    errors.feed_data(said)
    errors.feed_eof()
    words.follow(errors)
    await asyncio.sleep(0.01)
    monkeypatch.undo()
    return words


async def test_last_line_is_kept_and_all_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    passed, said = io.BytesIO(), b"x" * 100_000 + b"\nfailed to load \x1b[0m model\n\n"
    words = await read(said, monkeypatch, passed)
    assert (words.line, passed.getvalue()) == ("failed to load _[0m model", said)


async def test_program_goes_on_though_nobody_hears_it(monkeypatch: pytest.MonkeyPatch) -> None:
    words = await read(b"one\ntwo", monkeypatch, Closed())
    assert words.line == "two"
    assert LastWords().line == ""
