"""Names in the order of their scores, as a sorted set of Redis has them."""

from bisect import bisect_left, insort


class Scores:
    """Equal scores stand in the order of their names."""

    def __init__(self) -> None:
        self._scores: dict[str, float] = {}
        self._order: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._order)

    def get(self, name: str) -> float | None:
        """The score of a name, or None."""
        return self._scores.get(name)

    def set(self, name: str, score: float) -> None:
        """Adds a name, or moves it."""
        self.remove(name)
        self._scores[name] = score
        insort(self._order, (score, name))

    def remove(self, name: str) -> bool:
        """Whether the name was there."""
        score = self._scores.pop(name, None)
        if score is None:
            return False
        del self._order[bisect_left(self._order, (score, name))]
        return True

    def rank(self, name: str) -> int:
        """How many have a lower score."""
        return bisect_left(self._order, (self._scores[name], name))

    def first(self, number: int) -> list[tuple[float, str]]:
        """The least scores."""
        return self._order[:number]

    def least(self, default: float) -> float:
        """The least score."""
        return self._order[0][0] if self._order else default
