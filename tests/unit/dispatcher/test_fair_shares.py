"""Who is served how much: weights, tiers, users of a tenant, estimates that were wrong, bounds."""

import pytest

from testing.desk import Desk

# The fake would take half a minute for these, and say no more.
pytestmark = pytest.mark.parametrize("redis_url", ["real"], indirect=True)

TOKENS = 1000  # cost of one input token


def job_of(attempt_id: str) -> str:
    return attempt_id.rpartition(":")[0]


class Backlog:
    """Tenants that always have jobs waiting, and what they were served."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.served: dict[str, int] = {}
        self._costs: dict[str, int] = {}
        self._options: dict[str, dict[str, object]] = {}
        self._number = 0

    async def add(self, name: str, cost: int, jobs: int = 12, **options: object) -> None:
        """`name` is the tenant, or the tenant and its user."""
        self.served[name], self._costs[name], self._options[name] = 0, cost, options
        for _ in range(jobs):
            await self._submit(name)

    async def _submit(self, name: str) -> None:
        self._number += 1
        tenant, _, user = name.partition("/")
        given = {"estimate": self._costs[name], "tenant": tenant, "user": user or "-"}
        given |= self._options[name]
        bounds = (9999, 2**30)
        await self.desk.enqueue(f"{name}={self._number}", bounds=bounds, **given)  # type: ignore[arg-type]

    async def serve(self, jobs: int, at_once: int = 4) -> None:
        """Runs so many jobs, some at a time; who is served sends the next one."""
        running: list[str] = []
        for _ in range(jobs):
            running.append(await self.desk.take())
            if len(running) == at_once:
                await self._finish(running.pop(0))
        for attempt_id in running:
            await self._finish(attempt_id)

    async def _finish(self, attempt_id: str) -> None:
        name = job_of(attempt_id).partition("=")[0]
        await self.desk.finish(attempt_id, cost=self._costs[name])
        self.served[name] += self._costs[name]
        await self._submit(name)

    def parts(self) -> dict[str, float]:
        """Each one's part of all, in percent."""
        total = sum(self.served.values())
        return {name: 100 * cost / total for name, cost in self.served.items()}


@pytest.fixture
async def backlog(desk: Desk) -> Backlog:
    await desk.join(slots=99)
    return Backlog(desk)


@pytest.mark.parametrize("estimate", [100, 100_000])
async def test_one_job_behind_five_hundred_is_next(desk: Desk, estimate: int) -> None:
    """Also when estimates were far too high and some workers have just drained."""
    await desk.join("w", slots=12)
    await desk.join("v", slots=12)
    heavy = [f"h{number}" for number in range(500)]
    await desk.enqueue(*heavy, tenant="heavy", estimate=estimate * TOKENS)
    _, attempt_ids = await desk.claim("w")
    _, others = await desk.claim("v")
    await desk.enqueue("light", tenant="light", estimate=estimate * TOKENS)
    for attempt_id in others:
        await desk.finish(attempt_id, "v", cost=10 * TOKENS)
    await desk.renew(worker="v", slots=12, accepting=0)
    for attempt_id in attempt_ids[:3]:
        await desk.finish(attempt_id, cost=10 * TOKENS)
    assert job_of(await desk.take()) == "light"


async def test_overestimated_jobs_do_not_put_a_newcomer_behind_hundreds(desk: Desk) -> None:
    """The counter to start from is what others had in truth, not what they were charged."""
    await desk.join(slots=12)
    heavy = [f"h{number}" for number in range(500)]
    await desk.enqueue(*heavy, tenant="heavy", estimate=100_000 * TOKENS)
    _, attempt_ids = await desk.claim()
    lights = [f"l{number}" for number in range(20)]
    await desk.enqueue(*lights, tenant="light", estimate=10 * TOKENS)
    for attempt_id in attempt_ids:
        await desk.finish(attempt_id, cost=10 * TOKENS)
    served = []
    for _ in range(20):
        attempt_id = await desk.take()
        served.append(job_of(attempt_id)[0])
        await desk.finish(attempt_id, cost=10 * TOKENS)
    assert served.count("l") >= 10


async def test_weights_share_the_tokens(backlog: Backlog) -> None:
    await backlog.add("ann", 700 * TOKENS, weight=3)
    await backlog.add("bob", 300 * TOKENS)
    await backlog.add("cyd", 150 * TOKENS)
    await backlog.serve(700)
    parts = backlog.parts()
    assert parts["ann"] == pytest.approx(60, abs=3)
    assert parts["bob"] == pytest.approx(20, abs=3)
    assert parts["cyd"] == pytest.approx(20, abs=3)


async def test_one_priority_tenant_gets_its_share_against_three_hundred(backlog: Backlog) -> None:
    for number in range(300):
        await backlog.add(f"f{number}", 100 * TOKENS, jobs=1, tier="flex")
    await backlog.add("urgent", 100 * TOKENS, tier="priority")
    await backlog.serve(340)
    assert backlog.parts()["urgent"] == pytest.approx(100 * 16 / 17, abs=3)
    assert sum(cost > 0 for cost in backlog.served.values()) >= 15  # nor do the others starve


async def test_tiers_share_by_their_weights(backlog: Backlog) -> None:
    for tier in ("priority", "default", "flex"):
        await backlog.add(tier, 100 * TOKENS, tier=tier)
    await backlog.serve(420)
    assert backlog.parts()["priority"] == pytest.approx(100 * 16 / 21, abs=3)
    assert backlog.parts()["flex"] == pytest.approx(100 * 1 / 21, abs=3)


async def test_served_tokens_stay_within_the_bound_of_each_other(backlog: Backlog) -> None:
    """arXiv 2401.00588, Theorem 4.4: two backlogged tenants differ by at most twice what can be at
    work at a time. Here: the slots, each with the larger job.
    """
    large, small, slots = 900 * TOKENS, 70 * TOKENS, 4
    await backlog.add("ann", large)
    await backlog.add("bob", small, jobs=60)
    gaps = []
    for _ in range(40):
        await backlog.serve(10, slots)
        gaps.append(abs(backlog.served["ann"] - backlog.served["bob"]))
    assert max(gaps) <= 2 * slots * large
    assert min(backlog.served.values()) > 10 * large


async def test_tenants_that_send_one_job_at_a_time_take_turns(desk: Desk) -> None:
    """While one of theirs runs they don't wait, and the reaper comes by."""
    tenants, slots = ("ann", "bob", "cid", "dan", "eve"), 2
    await desk.join(slots=slots)
    done = dict.fromkeys(tenants, 0)
    for tenant in tenants:
        await desk.enqueue(f"{tenant}-0", tenant=tenant, estimate=100 * TOKENS)
    running: list[str] = []
    for _ in range(40):
        running += (await desk.claim())[1]
        await desk.reap()
        attempt_id = running.pop(0)
        tenant, number = job_of(attempt_id).split("-")
        done[tenant] += 1
        await desk.renew(*running, slots=slots)
        await desk.finish(attempt_id, cost=90 * TOKENS)
        await desk.enqueue(f"{tenant}-{int(number) + 1}", tenant=tenant, estimate=100 * TOKENS)
    assert max(done.values()) - min(done.values()) <= 1


async def test_users_of_one_tenant_share_its_part(backlog: Backlog) -> None:
    await backlog.add("chat/u1", 100 * TOKENS, jobs=40)
    await backlog.add("chat/u2", 100 * TOKENS)
    await backlog.add("other", 100 * TOKENS)
    await backlog.serve(200)
    assert backlog.parts()["other"] == pytest.approx(50, abs=3)
    assert backlog.parts()["chat/u1"] == pytest.approx(25, abs=3)


async def test_cached_and_real_tokens_are_what_counts(backlog: Backlog) -> None:
    """Estimates are equal, but one tenant's jobs turn out to cost a tenth."""
    await backlog.add("cached", 20 * TOKENS, jobs=60, estimate=200 * TOKENS)
    await backlog.add("plain", 200 * TOKENS)
    await backlog.serve(300)
    assert backlog.parts()["plain"] == pytest.approx(50, abs=8)


async def test_long_jobs_are_charged_as_they_go(desk: Desk) -> None:
    await desk.join(slots=9)
    await desk.enqueue("a1", "a2", tenant="ann", estimate=10)
    await desk.enqueue("b1", "b2", "b3", tenant="bob", estimate=10)
    first = await desk.take()
    await desk.renew(first, slots=9, cost=100)
    assert [job_of(await desk.take()) for _ in range(3)] == ["b1", "b2", "b3"]


async def test_cancelled_job_is_charged_as_served(desk: Desk) -> None:
    await desk.join(slots=9)
    await desk.enqueue("a1", "a2", tenant="ann", estimate=100)
    await desk.enqueue("b1", "b2", tenant="bob", estimate=30)
    await desk.finish(await desk.take(), state="cancelled", cost=40)
    assert [job_of(await desk.take()) for _ in range(3)] == ["b1", "b2", "a2"]


async def test_tenant_at_its_bound_of_running_jobs_waits_for_one_to_end(desk: Desk) -> None:
    await desk.join(slots=9)
    await desk.enqueue("a1", "a2", "a3", tenant="ann", tenant_bounds=(0, 2))
    await desk.enqueue("f1", tenant="ann", tier="flex", tenant_bounds=(0, 2))
    await desk.enqueue("b1", tenant="bob")
    _, attempt_ids = await desk.claim()
    assert [job_of(attempt_id) for attempt_id in attempt_ids] == ["a1", "b1", "a2"]
    await desk.rung()
    await desk.finish(attempt_ids[0])
    assert await desk.rung()
    assert [job_of(attempt_id) for attempt_id in (await desk.claim())[1]] == ["a3"]


async def test_model_at_its_bound_of_running_jobs_takes_no_more(desk: Desk) -> None:
    await desk.join(slots=9)
    await desk.enqueue("j1", "j2", "j3")
    _, attempt_ids = await desk.claim(max_running=2)
    assert len(attempt_ids) == 2
    assert await desk.claim(max_running=2) == (7, [])
    await desk.rung()
    await desk.finish(attempt_ids[0])
    assert await desk.rung()
    assert len((await desk.claim(max_running=2))[1]) == 1


async def test_capped_claims_do_not_ring_for_each_other(desk: Desk) -> None:
    await desk.join(slots=9)
    await desk.enqueue("j1", "j2", "j3")
    await desk.claim(max_running=2)
    await desk.rung()
    await desk.claim(max_running=2)
    assert not await desk.rung()


async def test_bound_on_a_tenants_queued_jobs(desk: Desk) -> None:
    await desk.enqueue("a1", "a2", tenant_bounds=(2, 0))
    assert await desk.enqueue("a3", tenant_bounds=(2, 0)) == [b"TENANT_FULL", 2]
    assert await desk.enqueue("b1", tenant="bob", tenant_bounds=(2, 0)) == [b"OK", 3, 1]
    await desk.cancel("a1")
    assert (await desk.enqueue("a3", tenant_bounds=(2, 0)))[0] == b"OK"


async def test_newer_job_supersedes_the_queued_one_of_its_key(desk: Desk) -> None:
    await desk.join(slots=9)
    await desk.enqueue("old", supersedes="line", tenant_bounds=(1, 0))
    await desk.enqueue("other", tenant="bob", supersedes="line")
    assert (await desk.enqueue("new", supersedes="line", tenant_bounds=(1, 0)))[0] == b"OK"
    assert await desk.heard() == [("old:-1", "superseded")]
    assert await desk.state("old") == "superseded"
    assert sorted(await desk.queue()) == ["new", "other"]


async def test_job_that_is_refused_supersedes_nothing(desk: Desk) -> None:
    await desk.enqueue("old", supersedes="line")
    await desk.enqueue("other", tenant="bob")
    refused = await desk.enqueue("new", supersedes="line", body=b"x" * 50, bounds=(9, 40))
    assert refused[0] == b"FULL"
    assert await desk.state("old") == "queued"


async def test_running_job_is_not_superseded(desk: Desk) -> None:
    await desk.join(slots=9)
    await desk.enqueue("old", supersedes="line")
    attempt_id = await desk.take()
    await desk.enqueue("new", supersedes="line")
    assert await desk.finish(attempt_id) == "OK"
    assert await desk.queue() == ["new"]
