"""The static page: what it may load, how it is kept, and that the wheel has all of it."""

import re
import tomllib
from pathlib import Path

import pytest

from api.dashboard import site
from api.dashboard.site import site as whole_site
from testing.service import Service, service

ROOT = Path(__file__).parents[4]
ASSETS = Path(site.__file__).parent / "assets"


@pytest.fixture(scope="module")
def api():
    with service() as running:
        yield running


def test_page_is_public_and_may_load_nothing_from_elsewhere(api: Service) -> None:
    answer = api.client.get("/dashboard")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in answer.headers


def test_page_is_asked_for_anew_and_its_assets_are_kept_for_ever(api: Service) -> None:
    answer = api.client.get("/dashboard")
    assert answer.headers["cache-control"] == "no-cache"
    again = api.client.get("/dashboard", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    links = re.findall(r'(?:href|src)="(dashboard/assets/[^"]+)"', answer.text)
    assert len(links) > 6
    for link in links:
        asset = api.client.get(f"/{link}")
        assert asset.status_code == 200, link
        assert "immutable" in asset.headers["cache-control"]
        assert asset.headers["x-content-type-options"] == "nosniff"
    old = api.client.get("/dashboard/assets/0123/main.js")
    assert (old.status_code, old.headers["cache-control"]) == (200, "no-store")


@pytest.mark.parametrize(
    ("path", "leads_to"),
    [
        ("/dashboard/", "../dashboard"),
        ("/v1/dashboard", "../dashboard"),
        ("/v1/dashboard/", "../../dashboard"),
    ],
)
def test_other_addresses_lead_to_the_one(api: Service, path: str, leads_to: str) -> None:
    answer = api.client.get(path, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (308, leads_to)


@pytest.mark.parametrize("name", ["none.js", "..%2fsite.py", "index.html", "%2e%2e"])
def test_nothing_else_is_served(api: Service, name: str) -> None:
    answer = api.client.get(f"/dashboard/assets/x/{name}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


def test_scripts_make_no_html_and_load_nothing_from_elsewhere() -> None:
    """The policy forbids most of it too; but text from workers must not even be tried as HTML."""
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment"
        r"|\beval\(|new Function|https?://(?!www\.w3\.org/2000/svg)"
    )
    for path in ASSETS.glob("*.js"):
        found = [line for line in path.read_text().splitlines() if forbidden.search(line)]
        assert [line for line in found if "llamaq bridge --server" not in line] == [], path.name
    html = (ASSETS / "index.html").read_text()
    assert not re.search(r"<script>|\son\w+=|\sstyle=|https?://", html)
    for path in ASSETS.glob("*.css"):
        assert not re.search(r"@import|url\(", path.read_text())


def test_each_module_that_is_imported_is_there() -> None:
    for path in ASSETS.glob("*.js"):
        for name in re.findall(r'from "\./([^"]+)"', path.read_text()):
            assert name in whole_site().assets, f"{path.name} imports {name}"


def test_wheel_has_the_assets() -> None:
    """Hatch takes whole packages, with all that git does not ignore."""
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]
    assert "api" in packages["build"]["targets"]["wheel"]["packages"]
    assert {path.suffix for path in ASSETS.iterdir()} <= {".html", *site._TYPES}


def test_version_is_another_one_for_other_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("index.html", "a.js"):
        (tmp_path / name).write_text(f"{name} {{version}}")
    monkeypatch.setattr(site, "_FOLDER", tmp_path)
    before = site.site.__wrapped__()
    (tmp_path / "a.js").write_text("other")
    after = site.site.__wrapped__()
    assert before.version != after.version
    assert after.page == f"index.html {after.version}".encode()
