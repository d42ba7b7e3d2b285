"""What scripts/test-clients installs is pinned, and docs/clients.md tells the same versions."""

import json
import re
from pathlib import Path

HERE = Path(__file__).parent
DOCS = (HERE.parents[1] / "docs" / "clients.md").read_text().splitlines()
SHOWN = {
    "aider-chat": "aider",
    "pydantic-ai-slim": "pydantic-ai",
    "@openai/codex": "Codex CLI",
    "@anthropic-ai/claude-code": "Claude Code",
}
NO_CLIENTS = ("zod",)


def pins() -> list[tuple[str, str]]:
    """What is installed by name, and its versions."""
    found = list(json.loads((HERE / "node" / "package.json").read_text())["dependencies"].items())
    for asked in (HERE / "python").glob("*.in"):
        lock = asked.with_suffix(".lock").read_text()
        for name in re.findall(r"^[a-z][\w-]+", asked.read_text(), re.M):
            found += re.findall(rf"^({name})(?:\[.*\])?==(\S+)", lock, re.M)
    return [(name, version) for name, version in found if name not in NO_CLIENTS]


def test_page_of_clients_tells_the_versions_that_are_tried() -> None:
    assert len(pins()) == 18
    for name, version in pins():
        told = f" {'.'.join(version.split('.')[:2])}"
        shown = SHOWN.get(name, name)
        assert any(shown in line and told in line for line in DOCS), f"{name}{told}"


def test_locks_name_hashes_and_no_index() -> None:
    for lock in HERE.glob("python/*.lock"):
        assert "--hash=sha256:" in lock.read_text()
        assert "://" not in lock.read_text()
    packages = json.loads((HERE / "node" / "package-lock.json").read_text())["packages"]
    others = [package for name, package in packages.items() if name]
    assert all("integrity" in package and "resolved" not in package for package in others)
