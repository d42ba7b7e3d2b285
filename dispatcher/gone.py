"""The workers that went away in the last hour: when, why, and what became of their jobs."""

from collections.abc import Mapping
from dataclasses import dataclass

from redis.exceptions import ResponseError

from dispatcher.constants import GONE_MS, MOST_GONE
from dispatcher.keys import Keys
from dispatcher.link import Link
from dispatcher.registry import ask_for_each
from dispatcher.row import printable

_TEXTS = "how", "server", "host", "address", "health", "reason", "drained"
_VERDICTS = "revoked", "resumed", "lost", "failed", "cancelled", "expired", "abandoned"
_LEFT, _EXPELLED = "left", "expelled"
_MOST_CHARS = 200
_MOST_AHEAD_MS = 60_000  # it went away while others were read
_UNREMARKABLE = "", "healthy", "left", "draining"


@dataclass(frozen=True, slots=True)
class GoneWorker:
    """A worker that went away at `gone_s`, Unix time, `ago_s` before it was read.

    `how` is `left` where its bridge said so, `expelled` where its machine is invited no more, else
    `died`. Of its jobs, this many were `queued_again`, went on elsewhere (`resumed`), wait for that
    (`lost`), have `failed`, or were not wanted any more (`dropped`).
    """

    id: str
    how: str
    gone_s: float
    ago_s: float
    server: str = ""
    host: str = ""
    address: str = ""
    health: str = ""
    reason: str = ""
    drained: bool = False
    queued_again: int = 0
    resumed: int = 0
    lost: int = 0
    failed: int = 0
    dropped: int = 0

    @property
    def why(self) -> str:
        """The reason, for people.

        >>> GoneWorker("w", "died", 0, 0, health="down", reason="it refuses connections").why
        'its bridge was heard of no more; its server was down before: it refuses connections'
        """
        if self.how == _EXPELLED:
            return "its machine is invited no more"
        if self.how == _LEFT:
            return f"{'it was drained, and ' if self.drained else ''}its bridge was stopped"
        said = f": {self.reason}" if self.reason else ""
        before = "" if self.health in _UNREMARKABLE else f"; its server was {self.health} before"
        return f"its bridge was heard of no more{before}{said if before else ''}"

    @property
    def jobs(self) -> str:
        """What became of its jobs, for people.

        >>> GoneWorker("w", "died", 0, 0, queued_again=2, failed=1).jobs
        '2 queued again, 1 failed'
        """
        counts = (
            (self.queued_again, "queued again"),
            (self.resumed, "went on elsewhere"),
            (self.lost, "to go on elsewhere"),
            (self.failed, "failed"),
            (self.dropped, "not wanted any more"),
        )
        return ", ".join(f"{count} {what}" for count, what in counts if count) or "it had none"


async def read_gone(link: Link, model: str, now_s: float) -> list[GoneWorker]:
    """The workers of a model that went away, the last one first. What can't be read is left out.

    Raises `RedisUnavailable`.
    """
    keys, now_ms = Keys(model), now_s * 1000
    span = now_ms + _MOST_AHEAD_MS, now_ms - GONE_MS
    asked = "ZREVRANGEBYSCORE", keys.named("gone"), *span, "WITHSCORES", "LIMIT", 0, MOST_GONE
    (found,) = await ask_for_each(link, [asked])
    if isinstance(found, ResponseError):
        return []
    fields = *_TEXTS, *_VERDICTS
    prefix = keys.named("gone_of").encode()
    rows = await ask_for_each(link, [("HMGET", prefix + name, *fields) for name in found[::2]])
    gone = []
    for name, at_ms, row in zip(found[::2], found[1::2], rows, strict=True):
        if isinstance(row, list) and row[0] is not None:
            said = dict(zip(fields, map(_text, row), strict=True))
            gone.append(_worker(_text(name), float(at_ms) / 1000, now_s, said))
    return gone


def _worker(name: str, gone_s: float, now_s: float, said: Mapping[str, str]) -> GoneWorker:
    revoked, resumed, lost, failed, *dropped = (_number(said[verdict]) for verdict in _VERDICTS)
    return GoneWorker(
        id=name,
        how=said["how"],
        gone_s=gone_s,
        ago_s=max(0.0, now_s - gone_s),
        server=said["server"],
        host=said["host"],
        address=said["address"],
        health=said["health"],
        reason=said["reason"],
        drained=bool(said["drained"]),
        queued_again=revoked,
        resumed=resumed,
        lost=lost,
        failed=failed,
        dropped=sum(dropped),
    )


def _text(value: bytes | None) -> str:
    return printable((value or b"").decode(errors="replace")[:_MOST_CHARS])


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
