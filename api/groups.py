"""What the groups of an identity provider grant to their members: `LLAMAQ_GROUPS`. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from api.claim_values import (
    InvalidClaim,
    read_limits,
    read_models,
    read_tier,
    read_weight,
)
from api.scopes import SCOPES, USUAL, read_scopes
from api.tenant import Tenant, read_tenant
from dispatcher.limits import Limits, pairwise, smaller
from dispatcher.tier import Tier

EVERYBODY = "*"
"""The group of everybody whom an identity provider puts into no other one."""

_CLAIMS = "groups", "roles"
_NO_LIMITS = Limits()


class BadGroups(ValueError):
    """What no group may be granted; the message says what."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a group gets. `scopes` and `models` are None where it gets the usual ones, or all."""

    tier: Tier = Tier.DEFAULT
    weight: float = 1
    scopes: frozenset[str] = USUAL
    models: frozenset[str] | None = None
    limits: Limits = _NO_LIMITS

    def joined(self, other: "Grant") -> "Grant":
        """What a member of both groups gets: the more of each."""
        return Grant(
            tier=min(self.tier, other.tier, key=list(Tier).index),
            weight=max(self.weight, other.weight),
            scopes=self.scopes | other.scopes,
            models=None if None in (self.models, other.models) else self._models_with(other),
            limits=pairwise(self.limits, other.limits, _larger_limit),
        )

    def _models_with(self, other: "Grant") -> frozenset[str]:
        return (self.models or frozenset()) | (other.models or frozenset())


Groups = Mapping[str, Grant]


def read_groups(said: Any) -> Groups:
    """Those of the setting. Raises `BadGroups`."""
    if not isinstance(said, dict):
        raise BadGroups('must be an object: {"GROUP": {"tier": "priority", "weight": 2}}')
    return {name: _read_grant(name, grant) for name, grant in said.items()}


def tenant_of(claims: Mapping[str, Any], groups: Groups, *, is_ours: bool) -> Tenant:
    """The tenant of a token: what its groups grant, and no more than its own claims say.

    A token that `is_ours` was made by the operator: `EVERYBODY` is not for it. Raises
    `InvalidClaim`.
    """
    tenant = read_tenant(claims)
    granted = [groups[name] for name in sorted(groups_of(claims)) if name in groups]
    if not granted and not is_ours and EVERYBODY in groups:
        granted = [groups[EVERYBODY]]
    if not granted:
        return tenant
    grant = granted[0]
    for other in granted[1:]:
        grant = grant.joined(other)
    return _bounded(grant, tenant, claims)


def groups_of(claims: Mapping[str, Any]) -> set[str]:
    """The groups and roles that a token names, whichever provider has made it.

    >>> sorted(groups_of({"groups": ["a"], "realm_access": {"roles": ["b"]}, "urn:x/roles": "c"}))
    ['a', 'b', 'c']
    """
    return {name for value in _claims_of_groups(claims) for name in _names(value)}


def _claims_of_groups(claims: Mapping[str, Any]) -> Iterator[Any]:
    for name, value in claims.items():
        if name in _CLAIMS or name.endswith(("/groups", "/roles")):  # Auth0 wants an address there
            yield value
    realm = claims.get("realm_access")  # Keycloak's
    if isinstance(realm, dict):
        yield realm.get("roles", ())


def _names(value: Any) -> Sequence[str]:
    if isinstance(value, str):
        return [value, *value.replace(",", " ").split()]
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _bounded(grant: Grant, tenant: Tenant, claims: Mapping[str, Any]) -> Tenant:
    """What the groups grant, where a claim does not say less."""
    limits = pairwise(grant.limits, tenant.limits or _NO_LIMITS, smaller)
    limits = replace(limits, models=grant.models)
    return replace(
        tenant,
        tier=tenant.tier.capped(grant.tier) if "tier" in claims else grant.tier,
        weight=min(tenant.weight, grant.weight) if "weight" in claims else grant.weight,
        scopes=grant.scopes if tenant.scopes is None else grant.scopes & tenant.scopes,
        limits=None if limits == _NO_LIMITS else limits,
    )


def _read_grant(name: str, said: Any) -> Grant:
    known = {field.name for field in fields(Grant)}
    if not isinstance(said, dict) or not set(said) <= known:
        raise BadGroups(f"the group {name!r} must be an object with some of {', '.join(known)}")
    readers: Mapping[str, Callable[[Any], Any]] = {
        "tier": read_tier,
        "weight": read_weight,
        "models": read_models,
        "limits": lambda limits: read_limits(limits) or _NO_LIMITS,
        "scopes": _read_scopes,
    }
    try:
        return Grant(**{field: readers[field](value) for field, value in said.items()})
    except InvalidClaim as error:
        raise BadGroups(f"in the group {name!r}, {error}") from error


def _read_scopes(words: Any) -> frozenset[str] | None:
    scopes = read_scopes({"scopes": words})
    if scopes is None or set(words) - set(SCOPES):
        raise InvalidClaim(f"`scopes` must be a list of some of {', '.join(SCOPES)}")
    return scopes


def _larger_limit(one: int, other: int) -> int:
    return max(one, other) if one and other else 0
