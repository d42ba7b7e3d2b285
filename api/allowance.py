"""What a tenant may use: the claims of its token, within what operators have set. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from api.tenant import Tenant
from dispatcher.limits import Account, Limits, pairwise, smaller
from dispatcher.tenant_limits import TenantLimits

_NONE = Limits()


class Allowance(NamedTuple):
    """The `lists` of models that it may use (`Tenant.model_lists`), and whose limits apply.

    The `accounts` are the tenant and its end user, where their limits are numbers.
    """

    lists: Sequence[frozenset[str]]
    accounts: Sequence[Account] = ()


def allowance(tenant: Tenant, user: str, settings: TenantLimits) -> Allowance:
    """What a tenant's request may use, for this end user; "" for none."""
    lists = tenant.model_lists
    if not settings and tenant.limits is None:  # most often
        return Allowance(lists)
    own = settings.of(tenant.subject) or _NONE
    counted = pairwise(own, tenant.limits or _NONE, smaller)
    accounts = [Account(tenant.subject, "", counted)]
    users = (settings.of(tenant.subject, user) if user else None) or _NONE
    accounts.append(Account(tenant.subject, user, users))
    more = [limits.models for limits in (own, users) if limits.models is not None]
    return Allowance((*lists, *more), [each for each in accounts if each.limits.counts])
