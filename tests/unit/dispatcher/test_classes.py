"""Jobs that few workers can take wait in a class of their own, and block nobody."""

from dispatcher.needs import Needs, read_needs
from dispatcher.turns import Turn, read_turns
from testing.desk import Desk
from testing.queued_jobs import jobs_of


async def test_worker_passes_by_what_it_can_not_take(desk: Desk) -> None:
    await desk.join("plain", 3, context=4096)
    await desk.join("eyes", 3, context=4096, modalities="audio,vision")
    await desk.enqueue(*(f"i{number}" for number in range(200)), tenant="ann", class_="vision")
    await desk.enqueue("j1", tenant="ann")
    assert jobs_of((await desk.claim("plain"))[1]) == ["j1"]
    assert jobs_of((await desk.claim("eyes"))[1]) == ["i0", "i1", "i2"]


async def test_tenant_has_one_counter_in_all_classes(desk: Desk) -> None:
    await desk.join("eyes", 9, modalities="vision")
    await desk.enqueue("i1", "i2", tenant="ann", class_="vision", estimate=10)
    await desk.enqueue("a1", tenant="ann", estimate=10)
    await desk.enqueue("b1", "b2", "b3", tenant="bob", estimate=10)
    # One stays: a claim that takes all has no order to keep, for they all begin now.
    assert jobs_of((await desk.claim("eyes", 5))[1]) == ["i1", "b1", "i2", "b2", "a1"]


async def test_chats_and_embeddings_of_two_tenants_take_turns(desk: Desk) -> None:
    await desk.join("both", 9, endpoints="completion,embeddings")
    await desk.join("chats", 9, endpoints="completion")
    many = [f"e{number}" for number in range(100)]
    await desk.enqueue(*many, tenant="ann", class_="embeddings", estimate=10)
    await desk.enqueue("c1", "c2", "c3", "c4", tenant="bob", estimate=10)
    assert jobs_of((await desk.claim("chats", 1))[1]) == ["c1"]
    taken = jobs_of((await desk.claim("both", 6))[1])
    assert taken == ["e0", "e1", "c2", "e2", "c3", "e3"]


async def test_those_who_wait_are_shown_whatever_their_jobs_need(desk: Desk) -> None:
    await desk.enqueue("e1", "e2", tenant="ann", class_="embeddings")
    await desk.enqueue("a1", tenant="ann")
    await desk.enqueue("b1", tenant="bob", class_="embeddings", tier="flex")
    await desk.enqueue("c1", tenant="cem", class_="vision")
    shown = {(turn.tier, turn.tenant, turn.queued, turn.needs) for turn in await turns_of(desk)}
    assert shown == {
        ("default", "ann", 3, "embeddings"),
        ("default", "cem", 1, "vision"),
        ("flex", "bob", 1, "embeddings"),
    }
    assert [turn.tier for turn in await turns_of(desk)] == ["default", "default", "flex"]
    assert len(await read_turns(desk.redis.link, "tiny", most=1)) == 1


async def turns_of(desk: Desk) -> list[Turn]:
    return await read_turns(desk.redis.link, "tiny")


async def test_job_of_a_class_calls_one_who_can_take_it(desk: Desk) -> None:
    await desk.join("plain", 3)
    await desk.join("eyes", 3, modalities="vision")
    await desk.rung("plain")
    await desk.rung("eyes")
    await desk.enqueue("i1", class_="vision")
    assert await desk.rung("eyes")
    assert not await desk.rung("plain")
    assert not await desk.rung()


async def test_claim_that_is_filled_passes_the_call_of_a_class_on(desk: Desk) -> None:
    await desk.join("one", 1, modalities="vision")
    await desk.join("two", 1, modalities="vision")
    await desk.enqueue("i1", "i2", class_="vision")
    await desk.claim("one")
    await desk.rung("one")
    assert await desk.rung("two")


async def test_context_that_was_too_small_is_not_tried_again(desk: Desk) -> None:
    await desk.join("small", 1, context=2048)
    await desk.join("large", 1, context=8192)
    await desk.enqueue("long", "short")
    attempt_id = await desk.take("small")
    await desk.rung("large")
    needs = str(Needs().larger(2048))
    assert await desk.release(attempt_id, "small", costs=0, class_=needs) == ["OK", "revoked"]
    assert await desk.rung("large")
    assert jobs_of((await desk.claim("small"))[1]) == ["short"]
    assert jobs_of((await desk.claim("large"))[1]) == ["long"]
    assert (await desk.job("long"))["class"] == "context>2048"


async def test_when_nobody_is_large_enough_the_job_stays(desk: Desk) -> None:
    await desk.join("small", 1, context=2048)
    await desk.enqueue("long")
    attempt_id = await desk.take("small")
    assert await desk.release(attempt_id, "small", class_="context>2048") == ["OK", "nobody"]
    assert await desk.finish(attempt_id, "small", state="rejected") == "OK"


def test_needs_say_who_meets_them() -> None:
    needs = read_needs("build=b1,context>2048,vision")
    assert needs.met_by(4096, frozenset({"vision", "audio"}), "b1")
    assert not needs.met_by(2048, frozenset({"vision"}), "b1")
    assert not needs.met_by(4096, frozenset({"audio"}), "b1")
    assert not needs.met_by(4096, frozenset({"vision"}), "b2")
    assert read_needs(str(needs)) == needs
