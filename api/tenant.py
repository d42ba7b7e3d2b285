"""Who is served, as the claims of a token tell. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.claim_values import (
    limits_claim,
    read_delegate,
    read_limits,
    read_models,
    read_subject,
    read_tier,
    read_weight,
)
from api.scopes import read_scopes
from dispatcher.limits import Limits
from dispatcher.tier import Tier


@dataclass(frozen=True, slots=True)
class Tenant:
    """The token's subject.

    `weight` is its part of a busy model, against other tenants; `tier` the most urgent service
    tier that it may use. With `delegate` it speaks for end users, whom its requests name.
    `scopes` are the groups of endpoints that it may use, None for all but `admin`. `models` are
    names of the models that it may use, None for all; `limits.models` narrow them further.
    """

    subject: str
    weight: float = 1
    tier: Tier = Tier.DEFAULT
    delegate: bool = False
    scopes: frozenset[str] | None = None
    models: frozenset[str] | None = None
    limits: Limits | None = None

    @property
    def model_lists(self) -> tuple[frozenset[str], ...]:
        """The names of models that it may use: a model must be in each of these lists."""
        if self.limits is None or self.limits.models is None:
            return () if self.models is None else (self.models,)
        return (self.limits.models,) if self.models is None else (self.models, self.limits.models)

    def claims(self) -> dict[str, Any]:
        """The claims from which `read_tenant` makes this tenant, without those at their default.

        >>> Tenant("ann", weight=2, models=frozenset({"b", "a"})).claims()
        {'sub': 'ann', 'weight': 2, 'models': ['a', 'b']}
        """
        claims: dict[str, Any] = {"sub": self.subject}
        if self.weight != 1:
            claims["weight"] = self.weight
        if self.tier is not Tier.DEFAULT:
            claims["tier"] = self.tier.value
        if self.delegate:
            claims["delegate"] = True
        if self.scopes is not None:
            claims["scopes"] = sorted(self.scopes)
        if self.models is not None:
            claims["models"] = sorted(self.models)
        if self.limits is not None:
            claims["limits"] = limits_claim(self.limits)
        return claims


def read_tenant(claims: Mapping[str, Any]) -> Tenant:
    """The tenant that a token's claims name; raises `InvalidClaim`."""
    return Tenant(
        subject=read_subject(claims["sub"]),
        weight=read_weight(claims.get("weight", 1)),
        tier=read_tier(claims.get("tier", Tier.DEFAULT)),
        delegate=read_delegate(claims.get("delegate", False)),
        scopes=read_scopes(claims),
        models=read_models(claims["models"]) if "models" in claims else None,
        limits=read_limits(claims["limits"]) if "limits" in claims else None,
    )
