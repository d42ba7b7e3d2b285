"""What a tenant may use per time. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one tenant; 0 is none.

    `models` are names of the models that it may use, as operators or workers give them; None for
    all.
    """

    requests_per_minute: int = 0
    tokens_per_day: int = 0
    tokens_per_month: int = 0
    concurrent: int = 0
    models: frozenset[str] | None = None
