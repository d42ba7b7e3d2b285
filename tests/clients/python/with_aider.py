"""The command `aider`, in a folder of its own: what counts is that it gets its answer."""

import re
import subprocess
import sys
from pathlib import Path

from calls import TOKEN, URL, call

AIDER = (
    *(sys.executable, "-m", "aider", "--model", "openai/long", "--weak-model", "openai/tiny"),
    *("--openai-api-base", f"{URL}/v1", "--openai-api-key", TOKEN, "--edit-format", "whole"),
    *("--yes-always", "--no-check-update", "--analytics-disable", "--no-show-model-warnings"),
    *("--no-pretty", "--no-git", "--no-gitignore", "--no-detect-urls", "--map-tokens", "0"),
    *("--no-show-release-notes", "--model-settings-file", "models.yml"),
)
# At its own temperature, 0, the demo model never comes to an end.
MODELS = "- name: openai/long\n  edit_format: whole\n  use_temperature: false\n"


def run(*command: str) -> str:
    """What a command prints, errors included."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def main() -> None:
    Path("models.yml").write_text(MODELS)
    for way in ("--stream", "--no-stream"):
        with call("aider-chat", f"--message, {way}"):
            said = run(*AIDER, way, "--message", "Write a poem into poem.txt.")
            assert re.search(r"Tokens: \S+ sent, \S+ received", said), said


if __name__ == "__main__":
    main()
