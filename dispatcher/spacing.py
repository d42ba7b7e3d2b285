"""How soon frames leave a bridge, and how far apart its emits are. Pure."""

from enum import Enum, auto

LAZY_S = 1.0
_SHORTEST_S = 0.02
_CROWDED_S = 0.04
_LONGEST_S = 0.05
_OF_PACE = 0.4
_FEW, _MANY = 16, 64  # streams
_OF_READS = 0.75


class Pace(Enum):
    """How soon a frame must be on its way."""

    NOW = auto()  # the first token: people wait for it
    SOON = auto()  # within the spacing of emits: many streams then share one
    LAZY = auto()  # within 1 s: nobody looks before the answer is complete


def spacing_s(streams: int, tokens_per_s: float) -> float:
    """How long a token may wait for others, so that they share an emit.

    20 ms for few streams, 40 ms for many. Slow streams, which would else need an emit for each
    token, wait up to 50 ms, but at most 40 % of the time between two tokens of one stream.

    >>> spacing_s(1, 10), spacing_s(4, 10), spacing_s(100, 5000)
    (0.02, 0.05, 0.04)
    """
    if streams < 2 or tokens_per_s <= 0:
        return _SHORTEST_S
    crowd = min(1.0, max(0.0, (streams - _FEW) / (_MANY - _FEW)))
    crowded_s = _SHORTEST_S + crowd * (_CROWDED_S - _SHORTEST_S)
    return min(_LONGEST_S, max(crowded_s, _OF_PACE * streams / tokens_per_s))


def is_dense(streams: int, tokens_per_s: float) -> bool:
    """Whether streams are best read all at once, just before their emit.

    A token waits for its emit anyway. Most of these reads find something.

    >>> is_dense(100, 5000), is_dense(6, 450), is_dense(1, 100), is_dense(100, 1000)
    (True, True, False, False)
    """
    if streams < 2:
        return False
    return tokens_per_s * spacing_s(streams, tokens_per_s) >= _OF_READS * streams


class Rate:
    """A smoothed rate per second: what came within the last second weighs most."""

    def __init__(self, now: float) -> None:
        self.per_s = 0.0
        self._counted = 0
        self._since = now

    def count(self, number: int) -> None:
        """Counts this many."""
        self._counted += number

    def settle(self, now: float) -> None:
        """Makes `per_s` of what was counted until now."""
        past_s = now - self._since
        if past_s <= 0:
            return
        self.per_s += min(1.0, past_s) * (self._counted / past_s - self.per_s)
        self._counted, self._since = 0, now
