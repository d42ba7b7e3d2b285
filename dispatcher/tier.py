"""Service tiers. While several wait, each gets its weight's part of the tokens: its floor."""

from enum import StrEnum


class Tier(StrEnum):
    """A priority class, the most urgent one first."""

    PRIORITY = "priority"
    DEFAULT = "default"
    FLEX = "flex"

    @property
    def weight(self) -> int:
        """Its part, against the others'."""
        return _WEIGHTS[self]

    def capped(self, cap: "Tier") -> "Tier":
        """This tier, or `cap` where that is less urgent.

        >>> Tier.PRIORITY.capped(Tier.DEFAULT).value, Tier.FLEX.capped(Tier.DEFAULT).value
        ('default', 'flex')
        """
        order = list(Tier)
        return max(self, cap, key=order.index)


_WEIGHTS = {Tier.PRIORITY: 16, Tier.DEFAULT: 4, Tier.FLEX: 1}
