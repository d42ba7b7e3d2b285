"""lua/register.lua and lua/renew.lua: who serves, with how many slots, and what it holds."""

from dispatcher.protocol import PROTOCOL
from testing.desk import LEASE_MS, Desk


async def test_worker_can_be_read_with_redis_cli(desk: Desk) -> None:
    assert await desk.join(slots=4) == [b"OK", 0]
    row = await desk.redis.hgetall(desk.keys.named("worker", "w"))
    shown = {b"epoch": b"e", b"slots": b"4", b"accepting": b"1"}
    assert abs(int(row.pop(b"renewed_ms")) - await desk.now_ms()) < 5000
    assert row == shown | {b"model": b"tiny", b"health": b"healthy", b"protocol": b"%d" % PROTOCOL}


async def test_repeated_registration_keeps_the_jobs(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    assert await desk.join() == [b"OK", 0]
    assert await desk.running() == [attempt_id]


async def test_new_registration_gives_the_old_ones_jobs_back(desk: Desk) -> None:
    await desk.join(slots=2)
    await desk.enqueue("j1", "j2", "j3")
    await desk.claim()
    assert await desk.join(slots=2, epoch="new") == [b"OK", 2]
    assert (await desk.queue(), await desk.running()) == (["j1", "j2", "j3"], [])
    assert sorted(kind for _, kind in await desk.heard()) == ["revoked", "revoked"]


async def test_new_registration_starts_without_cancels(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    await desk.take()
    await desk.cancel("j1")
    await desk.join(epoch="new")
    assert await desk.cancels() == []


async def test_renew_changes_slots_and_facts_and_extends_the_lease(desk: Desk) -> None:
    await desk.join(slots=1, accepting=0)
    desk.later(3000)
    assert await desk.renew(slots=5, accepting=1) == [b"OK", [], [], []]
    row = await desk.redis.hgetall(desk.keys.named("worker", "w"))
    assert (row[b"slots"], row[b"accepting"]) == (b"5", b"1")
    assert await desk.redis.zscore(desk.keys.named("workers"), "w") > await desk.now_ms() + 9000


async def test_repeated_renew_answers_the_same(desk: Desk) -> None:
    await desk.join(slots=2)
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    await desk.cancel("j1")
    answers = [await desk.renew(attempt_id, "j9:n-1", slots=2) for _ in range(2)]
    assert answers == [[b"OK", [b"j9:n-1"], [attempt_id.encode()], []]] * 2


async def test_held_attempts_are_kept(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    desk.later(6000)
    assert await desk.renew(attempt_id) == [b"OK", [], [], []]
    assert await desk.running() == [attempt_id]


async def test_attempt_that_the_worker_does_not_know_is_given_back(desk: Desk) -> None:
    await desk.join(slots=2)
    await desk.enqueue("j1", "j2")
    _, (kept, forgotten) = await desk.claim()
    desk.later(6000)
    await desk.renew(kept, slots=2)
    assert (await desk.running(), await desk.queue()) == ([kept], ["j2"])
    assert await desk.heard() == [(forgotten, "revoked")]


async def test_attempt_whose_claim_may_be_on_its_way_is_kept(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    desk.later(3000)
    await desk.renew()
    assert await desk.running() == [attempt_id]


async def test_attempt_whose_api_is_dead_is_orphaned(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    await desk.redis.zrem(desk.keys.named("apis"), "a")
    assert await desk.renew(attempt_id) == [b"OK", [], [], [attempt_id.encode()]]


async def test_attempt_whose_job_redis_has_lost_is_unwanted(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    await desk.redis.delete(desk.keys.named("job", "j1"))
    assert await desk.renew(attempt_id) == [b"OK", [], [attempt_id.encode()], []]


async def test_attempt_given_to_another_is_foreign(desk: Desk) -> None:
    await desk.join("w")
    await desk.join("v")
    await desk.enqueue("j1")
    attempt_id = await desk.take("v")
    assert await desk.renew(attempt_id) == [b"OK", [attempt_id.encode()], [], []]
    assert await desk.running("v") == [attempt_id]


async def test_second_worker_of_the_same_server_is_refused_and_told_whose_it_is(
    desk: Desk,
) -> None:
    await desk.join("first", server_id="s1")
    before = await desk.everything()
    at = await desk.redis.hget(desk.keys.named("worker", "first"), "renewed_ms")
    assert await desk.join("second", server_id="s1") == [b"TAKEN", b"first", at, 0]
    assert await desk.everything() == before
    desk.later(100)
    await desk.renew(worker="first")
    assert int((await desk.join("second", server_id="s1"))[2]) >= int(at) + 100
    assert await desk.join("third", server_id="s2") == [b"OK", 0]


async def test_worker_whose_server_is_not_known_is_never_refused(desk: Desk) -> None:
    await desk.join("first", server_id="")
    assert await desk.join("second", server_id="") == [b"OK", 0]
    assert await desk.join("third") == [b"OK", 0]


async def test_worker_may_register_again_with_its_own_server(desk: Desk) -> None:
    await desk.join(server_id="s1")
    assert await desk.join(server_id="s1") == [b"OK", 0]
    assert await desk.join(server_id="s1", epoch="new") == [b"OK", 0]


async def test_server_is_free_when_its_lease_has_run_out_though_nobody_has_reaped_it(
    desk: Desk,
) -> None:
    await desk.join("first", server_id="s1")
    desk.later(LEASE_MS // 2)
    assert (await desk.join("second", server_id="s1"))[0] == b"TAKEN"
    desk.later(LEASE_MS // 2 + 100)
    assert await desk.join("second", server_id="s1") == [b"OK", 0]


async def test_refused_worker_is_told_that_the_other_one_is_leaving(desk: Desk) -> None:
    await desk.join("first", server_id="s1", health="draining")
    assert (await desk.join("second", server_id="s1"))[3] == 1
