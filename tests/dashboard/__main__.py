"""The dashboard in a real browser: see scripts/try-dashboard."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.dashboard import checks, heard
from tests.dashboard.browser import Browser, browser
from tests.dashboard.checks import DESK, PHONE
from tests.dashboard.stage import Stage, fleet, load, nobody

FIRST: tuple[Callable[[Browser, Stage], None], ...] = (
    checks.names_are_no_html,
    checks.keyboard_reaches_all,
    checks.focus_stays,
    checks.drain_and_resume_by_click,
)
LOOKS = {"light": (*DESK, "light"), "dark": (*DESK, "dark"), "phone": (*PHONE, "light")}
_FILLS_S = 100.0  # until the charts have a minute


def do(check: Callable[..., None], *arguments: object) -> None:
    """Runs a check, and says so."""
    print(f"- {(check.__doc__ or check.__name__).splitlines()[0]}", flush=True)
    check(*arguments)


def look(page: Browser, folder: Path, name: str) -> None:
    """Pictures of what is shown: in both themes, and as a phone has it."""
    for kind, (width, height, scheme) in LOOKS.items():
        page.show_as(width, height, scheme)
        page.run("scrollTo(0, 0)")
        time.sleep(0.7)
        checks.nothing_is_too_wide(page)
        checks.axe_finds_nothing_serious(page, f"{name}, {kind}")
        page.picture(folder / f"{name}-{kind}.png")
    page.show_as(*DESK)


def empty(page: Browser, folder: Path) -> None:
    """A fleet without a worker says what to do next."""
    with TemporaryDirectory() as home, nobody(Path(home)) as link:
        page.open(link)
        page.wait_for("#workers", "llamaq bridge")
        look(page, folder, "empty")


def under_load(page: Browser, stage: Stage, folder: Path) -> None:
    """All that an admin does and sees while clients ask."""
    with load(stage.url, 20) as clients:
        do(checks.without_token, page, stage)
        look(page, folder, "sign-in")
        do(checks.token_leaves_the_address, page, stage)
        for check in FIRST:
            do(check, page, stage)
        do(checks.cancel_by_click, page, stage, clients)
        time.sleep(_FILLS_S)
        look(page, folder, "load")
        do(heard.screen_reader_finds_its_way, page, folder / "heard.txt")
        do(heard.arrows_read_the_charts, page)
        do(heard.load_is_not_announced, page)
        do(checks.hang_of_the_api_is_told, page, stage)
        do(checks.death_of_a_server_is_told, page, stage)
        look(page, folder, "down")
        do(checks.worker_that_left_is_told_of, page, stage)
        page.run("location.hash = '#usage'")
        page.wait_for("#usage-table", "batch")
        look(page, folder, "usage")
        do(checks.chat_streams_and_stops, page, stage)
    look(page, folder, "chat")
    do(checks.sign_out, page, stage)


def main(folder: Path) -> None:
    """Fails where one of the checks does. The pictures are left in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as home, browser(folder / "chromedriver.log") as page:
        page.show_as(*DESK)
        do(empty, page, folder)
        with fleet(Path(home)) as stage:
            under_load(page, stage, folder)
        # Of the answers that it was refused on purpose the browser tells too.
        found = [each for each in page.complaints() if "Failed to load resource" not in each]
        assert not found, found
    print(f"All well. The pictures are in {folder}.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
