"""What `llamaq invite` prints. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dispatcher.invitations import Invitation
from dispatcher.invited_user import user_of
from dispatcher.redis_login import with_login
from llamaq.greeting import bridge_line

_INSTALL = "pipx install --pip-args='--constraint constraints.txt' ."


@dataclass(frozen=True, slots=True)
class Access:
    """What an invited machine gets. Redis is at `url`. `secret` is "" where a file has it."""

    name: str
    model: str
    url: str = field(repr=False)
    secret: str = field(repr=False)

    @property
    def row(self) -> Mapping[str, str]:
        """For programs (docs/command-line.md)."""
        return {"name": self.name, "model": self.model, "line": self._line().strip()}

    @property
    def text(self) -> str:
        """For people."""
        return "\n".join([self._how_to_use(), *self._without_secret(), "", self._how_to_end()])

    def _how_to_use(self) -> str:
        return (
            f"{self.name!r} may serve the model {self.model!r}: it can read its prompts and answer "
            "its requests, and reaches nothing else.\n\n"
            "On that machine, in a copy of this repository of the same version, type once:\n"
            f"{_INSTALL}\nand then, beside its llama-server:\n{self._line()}"
        )

    def _without_secret(self) -> list[str]:
        if not self.secret:
            return []
        return [
            "\nOr without the secret in the line. The bridge then asks for it:",
            self._line_of("", "--ask-password").strip(),
            f"It is: {self.secret}",
        ]

    def _how_to_end(self) -> str:
        return f"To end it: llamaq uninvite {self.name}"

    def _line(self) -> str:
        if self.secret:
            return self._line_of(self.secret)
        return self._line_of("", "--redis-password-file", "FILE")

    def _line_of(self, secret: str, *options: str) -> str:
        url = with_login(self.url, user_of(self.name), secret)
        return bridge_line(url, "--model", self.model, "--name", self.name, *options)


def rows_of(invited: Sequence[tuple[Invitation, int]]) -> list[Mapping[str, Any]]:
    """The invitations for programs, each with how many workers it has."""
    return [
        {"name": each.name, "model": each.model, "invited_s": each.invited_s}
        | {"ended": each.ended, "workers": workers}
        for each, workers in invited
    ]


def list_of(invited: Sequence[tuple[Invitation, int]]) -> str:
    """The invitations for people."""
    if not invited:
        return "No machine is invited: invite one with `llamaq invite NAME --model MODEL`."
    width = max(len(each.name) for each, _ in invited)
    lines = []
    for each, workers in invited:
        since = datetime.fromtimestamp(each.invited_s, UTC).date()
        live = f"{workers} {'worker' if workers == 1 else 'workers'} now"
        state = f"ENDED: {each.ended}" if each.ended else live
        lines.append(f"{each.name:{width}}  {each.model}  since {since}  {state}")
    return "\n".join(lines)
