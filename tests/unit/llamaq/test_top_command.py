"""`llamaq top`: what it shows, and that it ends as people expect."""

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from click.testing import CliRunner

from dispatcher.gone import GoneWorker
from dispatcher.model_state import ModelState
from dispatcher.open_jobs import OpenJob
from dispatcher.overview import Waiting
from dispatcher.worker_state import WorkerState
from llamaq.__main__ import main
from llamaq.top_frame import frame_lines
from testing.overviews import NOW_S, overview

GPU = WorkerState("gpu-a1", "http://127.0.0.1:8080", "healthy", True, 4, 2, 8192, "b1")
FAR = replace(GPU, host="gpu1", address="10.0.0.7", tokens_per_s=81.0)
MODEL = ModelState("qwen", 0.2, (FAR,), 7, 9000)
JOB = OpenJob(
    *("j1", "running", "ann", "eve", "default", "gpu-a1", "/v1/chat/completions"),
    *(int(NOW_S * 1000) - 5000, int(NOW_S * 1000) - 4000, 1, 1),
)


def test_it_shows_workers_who_waits_jobs_and_who_is_gone() -> None:
    waiting = {"qwen": [Waiting("flex", "bob", 3, oldest_s=240)]}
    gone = GoneWorker("old-b2", "died", 1, 130, failed=1)
    found = overview(MODEL, waiting=waiting, gone=[gone], jobs=[JOB])
    assert [line.text for line in frame_lines(found, "desk")] == [
        "llamaq  2/4 slots  7 queued  81 tokens/s",
        "",
        "qwen  2/4 slots  7 queued",
        "  gpu-a1  █████░░░░░  2/4  healthy      81 tokens/s  gpu1:8080 (10.0.0.7)",
        "  waits: bob (flex) 3, the oldest for 4 min",
        "  j1  5 s  ann/eve (default)  at gpu-a1",
        "  gone: old-b2 2 min ago: its bridge was heard of no more; its jobs: 1 failed",
    ]


def test_it_says_what_was_known_last_when_redis_is_away() -> None:
    assert "away" in frame_lines(overview(MODEL), "desk", "Redis is away.")[1].text


@pytest.mark.real
def test_it_prints_one_look_into_a_pipe(real_redis_url: str) -> None:
    shown = CliRunner().invoke(main, ["top"], env={"LLAMAQ_REDIS_URL": real_redis_url})
    assert (shown.exit_code, shown.stdout.startswith("llamaq  ")) == (0, True)
    told = CliRunner().invoke(main, ["top", "--json"], env={"LLAMAQ_REDIS_URL": real_redis_url})
    assert isinstance(json.loads(told.stdout), list)


@contextmanager
def terminal(redis_url: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """The command in a small terminal, and what the keyboard writes to."""
    keyboard, screen = pty.openpty()
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 6, 24, 0, 0))

    def take_terminal() -> None:
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # who runs the tests may ignore it
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    environment = os.environ | {"LLAMAQ_REDIS_URL": redis_url, "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-m", "llamaq", "top", "--every", "0.2"],
        **{"stdin": screen, "stdout": screen, "stderr": screen},
        env=environment,
        preexec_fn=take_terminal,
    )
    os.close(screen)
    try:
        yield keyboard, process
    finally:
        process.kill()
        process.wait()
        os.close(keyboard)


@pytest.mark.real
@pytest.mark.parametrize("key", [b"q", b"\x03"], ids=["q", "Ctrl-C"])
def test_it_draws_until_somebody_quits(real_redis_url: str, key: bytes) -> None:
    with terminal(real_redis_url) as (keyboard, process):
        shown, until = b"", time.monotonic() + 30
        while b"0/0" not in shown and time.monotonic() < until:
            shown += os.read(keyboard, 4096)
        os.write(keyboard, key)
        assert process.wait(20) == 0
