"""Writes docs/settings.md anew from the code: every setting, and what it is.

What is not between the marks is written by hand. Usage: scripts/settings-page
"""

from pathlib import Path

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from api.settings import ApiSettings
from dispatcher.settings import QueueSettings
from llamaq.settings import default_of, variable
from worker_bridge.settings import BridgeSettings

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
PARTS: tuple[tuple[str, type[BaseSettings]], ...] = (
    ("All processes: Redis and the queue", QueueSettings),
    ("The API", ApiSettings),
    ("The bridge", BridgeSettings),
)
_BEGIN, _END = "<!-- settings: begin -->\n", "<!-- settings: end -->\n"


def page(before: str) -> str:
    """The page with the tables of today."""
    head, rest = before.split(_BEGIN)
    _, tail = rest.split(_END)
    return head + _BEGIN + "".join(map(_part, PARTS)) + "\n" + _END + tail


def _part(part: tuple[str, type[BaseSettings]]) -> str:
    title, kind = part
    rows = [_row(name, field) for name, field in sorted(kind.model_fields.items())]
    return f"\n## {title}\n\n| variable | what | default |\n|---|---|---|\n" + "".join(rows)


def _row(name: str, field: FieldInfo) -> str:
    told = (field.description or "").replace("|", "\\|").replace("\n", " ")
    default = "**must be set**" if field.is_required() else default_of(field)
    return f"| `{variable(name, field)}` | {told} | {default} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
