"""The command line of aider, in a folder of its own: what counts is that it gets its answer."""

import re
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from aider.main import main as aider
from calls import TOKEN, URL, call

AIDER = (
    *("--model", "openai/long", "--weak-model", "openai/tiny"),
    *("--openai-api-base", f"{URL}/v1", "--openai-api-key", TOKEN, "--edit-format", "whole"),
    *("--yes-always", "--no-check-update", "--analytics-disable", "--no-show-model-warnings"),
    *("--no-pretty", "--no-git", "--no-gitignore", "--no-detect-urls", "--map-tokens", "0"),
    *("--no-show-release-notes", "--model-settings-file", "models.yml"),
)
# At its own temperature, 0, the demo model never comes to an end.
MODELS = "- name: openai/long\n  edit_format: whole\n  use_temperature: false\n"


def run(*options: str) -> str:
    """What aider prints, errors included. In this process: to load it takes ten seconds of CPU."""
    with redirect_stdout(StringIO()) as said, redirect_stderr(said):
        code = aider([*AIDER, *options])
    assert not code, said.getvalue()
    return said.getvalue()


def main() -> None:
    Path("models.yml").write_text(MODELS)
    for way in ("--stream", "--no-stream"):
        with call("aider-chat", f"--message, {way}"):
            said = run(way, "--message", "Write a poem into poem.txt.")
            assert re.search(r"Tokens: \S+ sent, \S+ received", said), said


if __name__ == "__main__":
    main()
