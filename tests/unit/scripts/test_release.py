"""The version is the same wherever it stands; scripts/try-join makes a release and installs it."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
# Where a page or an example names the version that it is of.
PLACES = {
    "README.md": r"llamaq-([\d.]+)-(?:constraints|py3)",
    "docs/services.md": r"llamaq:([\d.]+\d)",
    "deploy/kubernetes/base/kustomization.yaml": r"(?:llamaq:|newTag: )([\d.]+)",
    ".env.example": r"LLAMAQ_VERSION=([\d.]+)",
}


@pytest.mark.parametrize("place", PLACES)
def test_page_names_this_version(place: str) -> None:
    assert set(re.findall(PLACES[place], (ROOT / place).read_text())) == {VERSION}


def test_changelog_has_a_section_of_this_version_at_its_top() -> None:
    """What is not released yet may stand above it."""
    sections = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert next(name for name in sections if name != "Unreleased") == VERSION


def test_changelog_says_the_protocol_of_each_release_in_the_usual_parts() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    releases = re.split(r"^## (?=\d)", text, flags=re.M)[1:]
    assert len(releases) >= 2
    for release in releases:
        assert re.search(r"^Protocol \d+", release, re.M)
        assert set(re.findall(r"^### (.*)$", release, re.M)) <= {
            *("Added", "Changed", "Fixed", "Removed"),
        }
