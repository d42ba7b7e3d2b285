"""What `llamaq usage` reads in Redis."""

from typing import Any

from dispatcher.usage import (
    UsageRow,
    days_between,
    known_models,
    today,
    usage_of,
    usage_of_all,
    usage_of_users,
    with_rest,
)
from dispatcher.usage_report import BadPeriod, period, sums, told, total
from llamaq.queue_redis import queue_redis


async def report(tenant: str, first: str, last: str, by: str, redis_url: str) -> dict[str, Any]:
    """The sums of a tenant, or of all. Raises `click.ClickException` and `RedisUnavailable`."""
    async with queue_redis(redis_url, mistakes=(BadPeriod,)) as redis:
        since, until = period(first, last, await today(redis))
        models, days = await known_models(redis), days_between(since, until)
        rows: list[UsageRow]
        if tenant:
            rows = await usage_of(redis, models, days, tenant)
        else:
            rows = await usage_of_all(redis, models, days)
        if by == "user":
            rows = with_rest(rows, await usage_of_users(redis, models, days, tenant))
    return {
        "tenant": tenant or None,
        "from": since.isoformat(),
        "to": until.isoformat(),
        "by": by,
        "data": _by_user(rows) if by == "user" else sums(rows, by),
        "total": told(total(rows)),
    }


def _by_user(rows: list[UsageRow]) -> list[dict[str, Any]]:
    """Users of several tenants may have one name: each is told with its tenant."""
    tenants = sorted({row.tenant for row in rows})
    return [
        {"user": f"{tenant}/{each['user']}" if each["user"] else tenant, **_without_name(each)}
        for tenant in tenants
        for each in sums([row for row in rows if row.tenant == tenant], "user")
    ]


def _without_name(each: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in each.items() if name != "user"}
