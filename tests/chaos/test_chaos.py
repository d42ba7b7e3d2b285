"""A minute of chaos with a fixed seed. Longer: python -m tests.chaos --minutes 10"""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.real

SEED = 11


def test_a_minute_of_chaos_loses_and_doubles_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.chaos", "--minutes", "1", "--every", "2.2"]
    command += ["--seed", str(SEED), "--folder", str(tmp_path / "chaos")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
