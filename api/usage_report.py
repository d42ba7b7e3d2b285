"""GET /v1/usage: what the token's tenant has used."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from api.context import Context, context_of, tenant_of
from api.errors import bad_request
from api.paths import READ
from api.scopes import USAGE, check_scope
from api.tenant import Tenant
from api.usage_by_user import sums_by_user
from dispatcher.connection import LinkedRedis
from dispatcher.usage import (
    DEFAULT_DAYS,
    Used,
    days_between,
    keep_usage,
    known_models,
    today,
    usage_of,
)
from dispatcher.usage_report import BadPeriod, period, sums_of, told

router = APIRouter()

_KNOWN = ("from", "to", "group_by", "user")
_LONGEST_USER = 256
_BY = ("day", "model", "user")
_KEEP_EVERY_S = 3600.0
_ROW_BYTES = 160


@router.api_route("/v1/usage", methods=READ)
async def usage(request: Request) -> JSONResponse:
    """The sums of what the tenant has used, by UTC day of the current month unless it is asked
    otherwise. It waits for no model.
    """
    context = context_of(request)
    tenant = await tenant_of(request)
    check_scope(tenant.scopes, USAGE)
    asked = _asked(request.query_params.multi_items(), tenant)
    by = asked.get("group_by", "day")
    now = await today(context.queue.redis)
    first, last = _period(asked, now)
    found = await _sums(context, tenant, asked, days_between(first, last))
    if context.settings.isolate_cache:  # it would tell of a single request
        found = {name: replace(used, cached=0) for name, used in found.items()}
    about = {
        "object": "usage",
        "tenant": tenant.subject,
        **({"user": asked["user"]} if "user" in asked else {}),
        "from": first.isoformat(),
        "to": last.isoformat(),
        "group_by": by,
    }
    return await context.aside.run(len(found) * _ROW_BYTES, _answer, about, found)


def _answer(about: Mapping[str, str], found: Mapping[str, Used]) -> JSONResponse:
    data = [{about["group_by"]: name, **told(used)} for name, used in sorted(found.items())]
    return JSONResponse({**about, "data": data, "total": told(sum(found.values(), Used()))})


async def _sums(
    context: Context, tenant: Tenant, asked: Mapping[str, str], days: Sequence[date]
) -> dict[str, Used]:
    redis, by = context.queue.redis, asked.get("group_by", "day")
    models = await known_models(redis)
    whole = await usage_of(redis, models, days, tenant.subject, asked.get("user", ""))
    if by == "user" and "user" not in asked:
        return await sums_by_user(context, whole, models, days)
    return sums_of(whole, by)


def _asked(items: Sequence[tuple[str, str]], tenant: Tenant) -> dict[str, str]:
    """What the query says. Raises `ApiError` 400 for what nobody can answer."""
    asked: dict[str, str] = {}
    for name, value in items:
        if name not in _KNOWN:
            raise bad_request(
                f"`{name[:40]}` is unknown: use {', '.join(_KNOWN)}.", param=name[:40]
            )
        if name in asked:
            raise bad_request(f"`{name}` is there twice: give it once.", param=name)
        asked[name] = value
    if asked.get("group_by", "day") not in _BY:
        raise bad_request(f"`group_by` must be one of {', '.join(_BY)}.", param="group_by")
    for_users = "user" in asked or asked.get("group_by") == "user"
    if for_users and not tenant.delegate:
        name = "user" if "user" in asked else "group_by"
        raise bad_request(
            "Only a token that speaks for end users (a delegate) has usage by user.", param=name
        )
    if not 0 < len(asked.get("user", "-")) <= _LONGEST_USER:
        message = f"`user` must have 1 to {_LONGEST_USER} characters."
        raise bad_request(message, param="user")
    return asked


def _period(asked: Mapping[str, str], now: date) -> tuple[date, date]:
    try:
        return period(asked.get("from", ""), asked.get("to", ""), now)
    except BadPeriod as error:
        message = f"`from` and `to` name UTC days: {error}."
        raise bad_request(message, param="from") from error


def query_schemas() -> dict[str, Any]:
    """The JSON schemas of what a query may say, by name."""
    day = {"type": "string", "format": "date"}
    by = {"type": "string", "enum": list(_BY)}
    user = {"type": "string", "minLength": 1, "maxLength": _LONGEST_USER}
    return {"from": day, "to": day, "group_by": by, "user": user}


def answer_schema() -> dict[str, Any]:
    """The JSON schema of an answer."""
    total = _object({name: _sum_schema(value) for name, value in told(Used()).items()})
    names = {by: {"type": "string"} for by in _BY}
    row = total | {"properties": names | total["properties"]}
    about = {name: {"type": "string"} for name in ("tenant", "from", "to", "group_by")}
    told_of = {"object": {"const": "usage"}, **about, "total": total}
    answer = _object(told_of | {"data": {"type": "array", "items": row}})
    return answer | {"properties": {"user": {"type": "string"}, **answer["properties"]}}


def _sum_schema(value: float) -> dict[str, Any]:
    return {"type": "integer" if isinstance(value, int) else "number", "minimum": 0}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": sorted(properties)}


class UsageKeeper:
    """Has Redis keep usage for `days`. The scripts know only the default."""

    def __init__(self, days: int) -> None:
        self._days = days
        self._next_at = float("-inf")

    async def keep(self, redis: LinkedRedis) -> None:
        """Once an hour, unless it is the default. Raises `RedisUnavailable`."""
        if self._days == DEFAULT_DAYS or time.monotonic() < self._next_at:
            return
        await keep_usage(redis, self._days)
        self._next_at = time.monotonic() + _KEEP_EVERY_S
