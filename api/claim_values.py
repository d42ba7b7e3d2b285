"""The values that claims may have; what groups map to has the same. Pure.

Each function returns what one value says, or raises `InvalidClaim`.
"""

from typing import Any

from dispatcher.aliases import ANY, is_name
from dispatcher.constants import MAX_WEIGHT, MIN_WEIGHT
from dispatcher.limits import COUNTED, LARGEST, Limits
from dispatcher.tier import Tier

MAX_SUBJECT_CHARS = 256
MOST_MODELS = 256


class InvalidClaim(ValueError):
    """A claim has a value that it may not have; its text is the rule, to be put into a sentence."""


def read_subject(subject: Any) -> str:
    """The name of a tenant."""
    if not isinstance(subject, str) or not subject.strip() or len(subject) > MAX_SUBJECT_CHARS:
        raise InvalidClaim(f"`sub` must be a string of 1 to {MAX_SUBJECT_CHARS} characters")
    try:
        subject.encode()
    except UnicodeEncodeError as error:  # JSON can name halves of a character
        raise InvalidClaim("`sub` must be text, without half a surrogate pair") from error
    return subject


def read_weight(weight: Any) -> float:
    """A tenant's part of a busy model."""
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        weight = 0
    if not MIN_WEIGHT <= weight <= MAX_WEIGHT:
        raise InvalidClaim(f"`weight` must be a number from {MIN_WEIGHT} to {MAX_WEIGHT}")
    return float(weight)


def read_tier(tier: Any) -> Tier:
    """The most urgent tier that a tenant may use."""
    if tier not in list(Tier):
        raise InvalidClaim(f"`tier` must be one of {', '.join(Tier)}")
    return Tier(tier)


def read_delegate(delegate: Any) -> bool:
    """Whether a tenant speaks for end users."""
    if not isinstance(delegate, bool):
        raise InvalidClaim("`delegate` must be true or false")
    return delegate


def read_models(models: Any) -> frozenset[str] | None:
    """The names of the models that a tenant may use; None for all, which `*` says."""
    is_list = isinstance(models, list) and len(models) <= MOST_MODELS
    if not is_list or not all(isinstance(name, str) and is_name(name) for name in models):
        raise InvalidClaim(f"`models` must be a list of up to {MOST_MODELS} names of models")
    return None if ANY in models else frozenset(models)


def read_limits(limits: Any) -> Limits | None:
    """The limits of a tenant that are numbers; None where there is none."""
    if not isinstance(limits, dict) or not set(limits) <= set(COUNTED):
        raise InvalidClaim(f"`limits` must be an object with some of {', '.join(COUNTED)}")
    for value in limits.values():
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST:
            raise InvalidClaim("`limits` must have whole numbers from 0, which is no limit")
    return Limits(**limits) if any(limits.values()) else None


def limits_claim(limits: Limits) -> dict[str, int]:
    """The claim from which `read_limits` makes these limits.

    >>> limits_claim(Limits(concurrent=4))
    {'concurrent': 4}
    """
    return {name: value for name in COUNTED if (value := getattr(limits, name))}
