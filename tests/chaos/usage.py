"""What each request has used, by what its client knows, and by what llamaq says of it."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass, field
from typing import Any

import httpx

from dispatcher.usage import Used
from tests.chaos.clients import Asked, End, token_of
from tests.chaos.faults import FORGETS, away
from tests.chaos.fleet import Fleet
from tests.chaos.sums import Sums

_UNHEARD_S = 15.0  # a Redis that is slow, and then empty, has not heard of what ended by itself
_TIMES = 3  # a request is done again after each loss of memory that it sees, and they are rare
_UNBEGUN = {"queue_full", "model_unavailable"}
_COUNTED = "requests", "prompt", "completion"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a request has used at least and at most."""

    least: Used
    most: Used

    def wrong(self, used: Used) -> list[str]:
        """Which of its counts are out of these bounds."""
        return [
            f"{name} {getattr(used, name)} is not in {getattr(self.least, name)} … "
            f"{getattr(self.most, name)}"
            for name in _COUNTED
            if not getattr(self.least, name) <= getattr(used, name) <= getattr(self.most, name)
        ]


@dataclass(slots=True)
class UsageLedger:
    """All requests, by tenant and end user."""

    fleet: Fleet
    requests: dict[str, dict[str, Asked]] = field(default_factory=dict)

    def enter(self, asked: Asked) -> None:
        """Notes a request that has ended."""
        self.requests.setdefault(asked.client, {})[asked.name] = asked

    async def wrong(self) -> list[str]:
        """A line for each request that is not counted as it must be. Waits for nothing."""
        told = {tenant: await self._told(tenant) for tenant in self.requests}
        found = [line for tenant in self.requests for line in self.wrong_of(tenant, told[tenant])]
        return [*found, *await self._other_reports(told)]

    def wrong_of(self, tenant: str, told: Sums) -> list[str]:
        """As `wrong`, of a tenant of which so much is told."""
        found: list[str] = []
        forgotten = self.fleet.forgotten
        for name, asked in self.requests[tenant].items():
            used = told.get(name, Used()) + forgotten.get(f"{tenant}|{name}", Used())
            found += [f"usage of {asked}: {fault}" for fault in self._bounds_of(asked).wrong(used)]
        strange = told.keys() - self.requests[tenant].keys()
        return [*found, *(f"usage of {tenant} for {user!r}: {told[user]}" for user in strange)]

    def exact(self) -> int:
        """Of how many requests everything is known."""
        asked = [each for of_tenant in self.requests.values() for each in of_tenant.values()]
        found = [self._bounds_of(each) for each in asked]
        return sum(bounds.least == bounds.most for bounds in found)

    def _bounds_of(self, asked: Asked) -> Bounds:
        shown, prompt = len(asked.text), asked.known.prompt_tokens
        most = Used(1, prompt, 0, asked.tokens)
        least = Used(1, prompt, 0, shown) if shown else Used()
        if asked.end is End.COMPLETE or (asked.end is End.ERROR and shown):
            most = least
        elif asked.end is End.ERROR and asked.code in _UNBEGUN:
            most = Used()
        after_s = 0 if asked.end is End.COMPLETE else _UNHEARD_S
        if self._had(asked, FORGETS, after_s):
            return Bounds(Used(), sum([most] * _TIMES, Used()))
        api_was_away = self._had(asked, asked.api) or self._had(asked, away(asked.api))
        if asked.end is not End.COMPLETE and api_was_away:
            return Bounds(Used(), Used(1, prompt, 0, asked.tokens))
        return Bounds(least, most)

    def _had(self, asked: Asked, what: str, after_s: float = 0) -> bool:
        return self.fleet.had_trouble(what, asked.began, asked.ended + after_s)

    async def _told(self, tenant: str, api: int = 0) -> Sums:
        url = f"{self.fleet.api_url(self.fleet.apis[api])}/v1/usage"
        headers = {"Authorization": f"Bearer {token_of(tenant)}"}
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            found = await client.get(url, params={"group_by": "user"}, headers=headers)
            found.raise_for_status()
        return {row["user"]: _used(row) for row in found.json()["data"]}

    async def _other_reports(self, told: dict[str, Sums]) -> list[str]:
        """Where the other API or the operator's report says something else."""
        found = []
        for tenant, of_tenant in told.items():
            if await self._told(tenant, -1) != of_tenant:
                found.append(f"usage of {tenant}: the APIs tell two things")
        report = await _report(self.fleet.redis_url, "tenant")
        for tenant, of_tenant in told.items():
            whole = sum(of_tenant.values(), Used())
            if report.get(tenant, Used()) != whole:
                found.append(
                    f"usage of {tenant}: users' {whole}, llamaq usage {report.get(tenant)}"
                )
        return found


async def _report(redis_url: str, by: str) -> Sums:
    """What `llamaq usage` says."""
    command = [sys.executable, "-m", "llamaq", "usage", "--by", by, "--json"]
    environment = {**os.environ, "LLAMAQ_REDIS_URL": redis_url}
    run = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await run.communicate()
    return {row[by]: _used(row) for row in json.loads(output)["data"]}


def _used(row: dict[str, Any]) -> Used:
    return Used(
        row["requests"], row["prompt_tokens"], row["cached_tokens"], row["completion_tokens"]
    )
