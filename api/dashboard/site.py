"""The files of the dashboard, as the wheel has them. They change only with the version."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "assets"
_PAGE = "index.html"
_VERSION = b"{version}"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that the page loads."""

    content: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Site:
    """The page, and its assets by name. Other content has another `version`."""

    version: str
    page: bytes
    assets: Mapping[str, Asset]


@cache
def site() -> Site:
    """All of it, read once."""
    files = {path.name: path.read_bytes() for path in sorted(_FOLDER.iterdir()) if path.is_file()}
    hashed = hashlib.sha256()
    for name, content in files.items():
        hashed.update(b"%b %d\n%b" % (name.encode(), len(content), content))
    version = hashed.hexdigest()[:16]
    page = files.pop(_PAGE).replace(_VERSION, version.encode())
    assets = {
        name: Asset(content, _TYPES[Path(name).suffix])
        for name, content in files.items()
        if Path(name).suffix in _TYPES
    }
    return Site(version, page, assets)
