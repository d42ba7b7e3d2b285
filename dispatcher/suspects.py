"""Who is under suspicion because servers crashed, as `llamaq status` and the logs show it."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from dispatcher.keys import Keys
from dispatcher.link import Link

SUSPECTED = (
    "suspect=%s: servers crashed while they had its requests. For ten minutes from its last crash "
    "each worker runs one of its jobs at a time."
)
"""What a bridge logs, once."""
_MOST = 10


@dataclass(frozen=True, slots=True)
class Suspect:
    """A tenant, or an end user of it (`tenant|user`), and for how many seconds more.

    The names are as they stand in Redis (`dispatcher.job.tenant_key`).
    """

    name: str
    seconds: int

    @property
    def title(self) -> str:
        """For people.

        >>> Suspect("ann%20b|-", 61).title, Suspect("web|eve", 600).title
        ('ann b', 'web|eve')
        """
        return unquote(self.name.removesuffix("|-"))


async def read_suspects(link: Link, model: str) -> Sequence[Suspect]:
    """Those of a model, the last ones first, ten at most. Raises `RedisUnavailable`."""
    seconds, micros = await link.call("TIME")
    key, now_ms = Keys(model).named("suspects"), int(seconds) * 1000 + int(micros) // 1000
    bounds = ("+inf", f"({now_ms}", "WITHSCORES", "LIMIT", 0, _MOST)
    rows = await link.call("ZREVRANGEBYSCORE", key, *bounds)
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return [
        Suspect(name.decode(errors="replace"), round((float(until) - now_ms) / 1000))
        for name, until in pairs
    ]
