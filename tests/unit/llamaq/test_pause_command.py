"""`llamaq pause`, without a bridge and with one that heeds it."""

import json
import stat
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import llamaq.pause_command as pause_command
from llamaq.__main__ import main
from worker_bridge.pause import Pause, read_pause
from worker_bridge.pause_watch import PauseWatch


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pause_command, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(pause_command, "_MORE_S", 0.0)


def pause(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["pause", *words], env={"LLAMAQ_DATA_DIR": str(folder)})


def test_pause_is_written_for_this_user_alone_and_ended(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    done = pause(folder, "--for", "2h", "--unload")
    assert done.exit_code == 0
    assert done.stdout.startswith("Paused until 20")
    assert "no bridge has heeded it" in done.stderr
    order = read_pause(folder)
    assert (7100 < order.until_s - time.time() < 7300, order.unload) == (True, True)
    assert stat.S_IMODE((folder / "pause").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert pause(folder, "--hours", "22-7").stdout.endswith(
        "and each day within 22:00-07:00. To end it: llamaq pause --end\n"
    )
    shown = json.loads(pause(folder, "--json").stdout)
    assert (shown["hours"], shown["until_s"] == order.until_s) == ("22:00-07:00", True)
    assert pause(folder, "--end").stdout == "Not paused: the bridges of this machine take jobs.\n"
    assert read_pause(folder).hours == ""
    assert pause(folder).stdout.startswith("Not paused")


def test_bridge_that_heeds_it_is_named_and_never_raw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pause_command, "_PATIENCE_S", 5.0)
    watch, is_over = PauseWatch(tmp_path, "gpu\x1b1"), threading.Event()

    def look() -> None:
        while not is_over.wait(0.05):
            watch.look()

    looking = threading.Thread(target=look)
    looking.start()
    done = pause(tmp_path, "--for", "1m", "--unload")
    is_over.set()
    looking.join()
    assert "It is heeded by: gpu_1\n" in done.stdout
    assert "Warning: gpu_1: another program has started its llama-server" in done.stderr
    assert (watch.until_s > time.time(), watch.unloads) == (True, False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--for", "2"], "is not a duration: write 90d, 12h"),
        (["--hours", "22"], "write 22-07 or 9:30-17:00"),
        (["--unload"], "say for how long"),
        (["--end", "--for", "2h"], "give it alone"),
    ],
)
def test_what_is_no_pause_changes_nothing(tmp_path: Path, words: list[str], said: str) -> None:
    done = pause(tmp_path, *words)
    assert (done.exit_code, said in done.stderr) == (2, True)
    assert read_pause(tmp_path) == Pause()


def test_folder_that_can_not_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = pause(tmp_path / "file" / "folder", "--for", "2h")
    assert (done.exit_code, "can't" in done.stderr) == (1, True)
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    "text", ["", "[]", '{"until_s": "x"}', '{"hours": 7}', '{"until_s": 1e999}']
)
def test_broken_order_is_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / "pause").write_text(text)
    assert pause(tmp_path).exit_code == 0
    assert pause(tmp_path, "--hours", "1-2").exit_code == 0
    assert read_pause(tmp_path).hours == "01:00-02:00"
