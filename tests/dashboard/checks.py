"""What the page must do, each as one check in a browser."""

import json
import signal
import time
from pathlib import Path
from typing import Any

from tests.dashboard.browser import Browser
from tests.dashboard.stage import HOSTILE, Load, Stage, answer_of

ROOT = Path(__file__).parents[2]
AXE = ROOT / ".venv-dashboard" / "node_modules" / "axe-core" / "axe.min.js"
TAB, ENTER, ESCAPE = "\ue004", "\ue007", "\ue00c"
DESK, PHONE = (1280, 900), (360, 740)
_SERIOUS = ("serious", "critical")
_LONG = 3000  # tokens of an answer that is cancelled


def without_token(page: Browser, stage: Stage) -> None:
    """A page without a token says how to get one, and refuses a wrong one in words."""
    page.open(f"{stage.url}/dashboard")
    page.wait_for("#sign-in", "llamaq dashboard")
    page.write("#token", "wrong" + ENTER)
    page.wait_for("#notice", "token")


def token_leaves_the_address(page: Browser, stage: Stage) -> None:
    """The token is in no address and no history, and the page is live."""
    page.open(stage.link)
    page.wait_for("#link-state", "Live")
    assert page.address == f"{stage.url}/dashboard", page.address
    assert page.run("return sessionStorage.getItem('llamaq.token').split('.').length") == 3
    assert page.run("return Object.values(localStorage).length") == 0


def names_are_no_html(page: Browser, stage: Stage) -> None:
    """A worker and a tenant that are called like tags are shown as they are called."""
    page.wait_for("#workers", HOSTILE)
    page.wait_for("#requests", "<b>build</b>")
    found = page.run(
        "return [window.hacked, document.images.length, document.querySelectorAll('b').length]"
    )
    assert found == [None, 0, 0], found


def keyboard_reaches_all(page: Browser, stage: Stage) -> None:
    """By Tab alone: the way past the bar, the views, a drain that is not meant, and back."""
    page.open(f"{stage.url}/dashboard")  # the tab still has its token
    page.wait_for("#workers", "Drain")
    seen: list[str] = []
    for _ in range(30):
        page.press(TAB)
        seen.append(
            page.run("return document.activeElement.ariaLabel ?? document.activeElement.innerText")
        )
        if seen[-1].startswith("Drain "):
            break
    assert seen[0] == "Skip to the content", seen
    assert {"Fleet", "Usage", "Chat"} <= set(seen), seen
    page.press(ENTER)
    page.wait_for("#confirm", "Drain")
    assert page.run("return document.activeElement.id") == "confirm-no"
    page.press(ESCAPE)
    assert page.run("return document.getElementById('confirm').open") is False
    assert page.run("return document.activeElement.ariaLabel") == seen[-1]


def focus_stays(page: Browser, stage: Stage) -> None:
    """Rows change under load, and what has the focus keeps it."""
    before = page.run("const e = document.activeElement; e.dataset.mine = '1'; return e.ariaLabel")
    time.sleep(3)
    assert page.run("return document.activeElement.dataset.mine") == "1", before


def drain_and_resume_by_click(page: Browser, stage: Stage) -> None:
    """The demo's first worker takes no more jobs, and then does again."""
    name = "[aria-label^='Drain demo1']"
    page.click(name)
    page.click("#confirm-yes")
    page.wait_for("tr:has([aria-label^='Resume demo1'])", "drained")
    page.click("[aria-label^='Resume demo1']")
    page.wait_for(f"tr:has({name})", "healthy")


def cancel_by_click(page: Browser, stage: Stage, load: Load) -> None:
    """A request ends with an error that tells its client why."""
    thread, found = answer_of(load, "to-cancel", _LONG)
    button = "[aria-label$=' of to-cancel']"
    _show_all_requests(page)
    page.wait_for(f"tr:has({button})", "to-cancel")
    page.run("document.querySelector(arguments[0]).click()", button)  # its row may move
    page.click("#confirm-yes")
    thread.join(20)
    assert found, "the request still runs"
    assert "error" in found[0] or "HTTP Error" in found[0], found
    _show_all_requests(page)  # fewer again


def _show_all_requests(page: Browser) -> None:
    page.run("document.querySelector('#requests button.quiet').click()")


def hang_of_the_api_is_told(page: Browser, stage: Stage) -> None:
    """The page says that what it shows is old, and comes back by itself."""
    process = stage.api
    process.suspend()
    try:
        page.wait_for("#link-state", "old", 30)
        page.wait_for("#notice", "tries again by itself", 30)
    finally:
        process.resume()
    page.wait_for("#link-state", "Live", 40)
    assert page.text("#notice") == ""


def death_of_a_server_is_told(page: Browser, stage: Stage) -> None:
    """A worker whose server is killed is named at the top, comes first and is announced."""
    stage.third.process.send_signal(signal.SIGKILL)
    page.wait_for("#verdict", "third")
    page.wait_for("tr.is-down", "down")
    page.wait_for("#spoken", "is down.")
    assert page.text("#workers tbody tr:first-child").startswith("third"), "it comes first"


def worker_that_left_is_told_of(page: Browser, stage: Stage) -> None:
    """A bridge that ends is listed, with what became of its jobs."""
    stage.bridge.stop()
    page.wait_for("#gone", "its bridge was stopped")


def chat_streams_and_stops(page: Browser, stage: Stage) -> None:
    """Two turns, the second of which is stopped."""
    page.run("location.hash = '#chat'")
    page.write("#chat-text", "Tell me a story." + ENTER)
    page.wait_for("#talk", "prompt tokens cached", 60)
    page.write("#chat-text", "Go on for long." + ENTER)
    page.run("document.getElementById('chat-stop').click()")  # the model may end soon
    page.wait_for(".said:last-child", "Stopped.")


def sign_out(page: Browser, stage: Stage) -> None:
    """The token is forgotten, and nothing of the fleet is left to see."""
    page.click("#sign-out")
    page.wait_for("#sign-in", "llamaq dashboard")
    assert page.run("return sessionStorage.length") == 0
    left = page.run("return document.body.textContent")
    assert "demo1" not in left, left
    assert "batch" not in left, left


def nothing_is_too_wide(page: Browser) -> None:
    wide = page.run(
        "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert wide <= 0, f"{wide} px too wide"


def axe_finds_nothing_serious(page: Browser, where: str) -> None:
    """axe-core, with all of its rules (WCAG 2.2 A and AA, and good practice)."""
    page.command("Runtime.evaluate", {"expression": AXE.read_text()})
    found: list[Any] = page.run(
        "return axe.run().then(r => r.violations.map(v => "
        "({id: v.id, impact: v.impact, nodes: v.nodes.map(n => n.html.slice(0, 300))})))"
    )
    lesser = [f"{each['id']}: {each['nodes'][0]}" for each in found]
    print(f"  axe, {where}: {lesser or 'nothing'}", flush=True)
    serious = [each for each in found if each["impact"] in _SERIOUS]
    assert not serious, json.dumps(serious, indent=2)
