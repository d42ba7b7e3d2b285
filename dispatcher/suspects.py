"""Who is under suspicion because servers crashed, as `llamaq status` and the logs show it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from redis.exceptions import ResponseError

from dispatcher.constants import SUSPECTED_MS
from dispatcher.keys import Keys
from dispatcher.link import Link
from dispatcher.redis_clock import redis_now_ms
from dispatcher.row import printable

SUSPECTED = (
    "suspect=%s: servers crashed while they had its requests. For ten minutes from its last crash "
    "each worker runs one of its jobs at a time. After a crash of its own none begins for 90 s, "
    "where the model serves others."
)
"""What a bridge logs, once."""
_MOST = 10

log = logging.getLogger("llamaq.registry")


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

        >>> Suspect("ann%20b|-", 61).title, Suspect("web|eve%1B", 600).title
        ('ann b', 'web|eve_')
        """
        return printable(unquote(self.name.removesuffix("|-")))


async def read_suspects(link: Link, model: str) -> Sequence[Suspect]:
    """The suspects of a model, the last ones first, ten at most; none where they can't be read.

    Raises `RedisUnavailable`.
    """
    key, now_ms = Keys(model).named("suspects"), await redis_now_ms(link)
    bounds = ("+inf", f"({now_ms}", "WITHSCORES", "LIMIT", 0, _MOST)
    try:
        rows = await link.call("ZREVRANGEBYSCORE", key, *bounds)
    except ResponseError as error:
        log.error("The suspects in %s can't be read: %s", key, error)
        return []
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return [
        Suspect(name.decode(errors="replace"), _seconds(float(until) - now_ms))
        for name, until in pairs
    ]


def _seconds(left_ms: float) -> int:
    """No suspicion lasts longer than ten minutes, whatever an invited machine has written."""
    return round(min(left_ms, SUSPECTED_MS) / 1000)
