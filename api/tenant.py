"""Who is served, as the claims of a token tell. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dispatcher.constants import MAX_WEIGHT, MIN_WEIGHT
from dispatcher.tier import Tier

MAX_SUBJECT_CHARS = 256


class InvalidClaim(ValueError):
    """A claim has a value that it may not have; its text is the rule, to be put into a sentence."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """The token's subject.

    `weight` is its part of a busy model, against other tenants; `tier` the most urgent service
    tier that it may use. With `delegate` it speaks for end users, whom its requests name.
    """

    subject: str
    weight: float = 1
    tier: Tier = Tier.DEFAULT
    delegate: bool = False

    def claims(self) -> dict[str, Any]:
        """The claims that `read_tenant` makes this tenant of; what is at its default is left out.

        >>> Tenant("ann", weight=2).claims()
        {'sub': 'ann', 'weight': 2}
        """
        claims: dict[str, Any] = {"sub": self.subject}
        if self.weight != 1:
            claims["weight"] = self.weight
        if self.tier is not Tier.DEFAULT:
            claims["tier"] = self.tier.value
        if self.delegate:
            claims["delegate"] = True
        return claims


def read_tenant(claims: Mapping[str, Any]) -> Tenant:
    """The tenant that a token's claims name; raises `InvalidClaim`."""
    return Tenant(
        subject=_subject(claims["sub"]),
        weight=_weight(claims.get("weight", 1)),
        tier=_tier(claims.get("tier", Tier.DEFAULT)),
        delegate=_delegate(claims.get("delegate", False)),
    )


def _subject(subject: Any) -> str:
    if not isinstance(subject, str) or not subject.strip() or len(subject) > MAX_SUBJECT_CHARS:
        raise InvalidClaim(f"`sub` must be a string of 1 to {MAX_SUBJECT_CHARS} characters")
    try:
        subject.encode()
    except UnicodeEncodeError as error:  # JSON can name halves of a character
        raise InvalidClaim("`sub` must be text, without half a surrogate pair") from error
    return subject


def _weight(weight: Any) -> float:
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        weight = 0
    if not MIN_WEIGHT <= weight <= MAX_WEIGHT:
        raise InvalidClaim(f"`weight` must be a number from {MIN_WEIGHT} to {MAX_WEIGHT}")
    return float(weight)


def _tier(tier: Any) -> Tier:
    if tier not in list(Tier):
        raise InvalidClaim(f"`tier` must be one of {', '.join(Tier)}")
    return Tier(tier)


def _delegate(delegate: Any) -> bool:
    if not isinstance(delegate, bool):
        raise InvalidClaim("`delegate` must be true or false")
    return delegate
