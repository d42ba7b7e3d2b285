"""The pages lead to files and headings that there are."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


def pages() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return listed.stdout.split()


def without_code(text: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The names of its headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", pages())
def test_links_of_the_page_lead_somewhere(page: str) -> None:
    here = ROOT / page
    for found in LINK.finditer(without_code(here.read_text())):
        link = found.group(1) or found.group(2)
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (here.parent / path) if path else here
        assert target.exists(), f"{page}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{page}: {link}"


def test_every_page_of_docs_is_reached_from_another() -> None:
    every = {page for page in pages() if page.startswith("docs/") and "/adr/" not in page}
    assert every
    linked = set()
    for page in pages():
        for found in LINK.finditer(without_code((ROOT / page).read_text())):
            path = (found.group(1) or found.group(2)).partition("#")[0]
            target = ((ROOT / page).parent / path).resolve()
            if path and target != (ROOT / page).resolve() and target.is_relative_to(ROOT):
                linked.add(str(target.relative_to(ROOT.resolve())))
    assert every - linked == set()
