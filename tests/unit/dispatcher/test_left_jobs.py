"""Jobs that are left to others: the ring goes on to who may take them, and never in a circle."""

from dispatcher.patience import Patience
from testing.desk import Desk

SLOW = Patience(1000, 1000, 100, 1, ("fast",))


async def test_job_left_by_a_slow_worker_calls_one_that_is_not_measured_yet(desk: Desk) -> None:
    await desk.join("fast")
    await desk.enqueue("j0")
    await desk.take("fast")
    await desk.join("slow", prompt_tps=1, decode_tps=1)
    await desk.join("new")  # no speeds yet: takes everything
    for worker in ("fast", "slow", "new"):
        await desk.rung(worker)
    await desk.rung()
    await desk.enqueue("j1")
    assert await desk.rung("new")  # which is not there yet, as `slow` looks what there is
    assert (await desk.claim("slow", patience=SLOW))[1] == []
    assert await desk.rung("new") or await desk.rung()


async def test_two_that_leave_jobs_of_their_classes_do_not_ring_each_other_for_ever(
    desk: Desk,
) -> None:
    await desk.join("fast", modalities="vision,audio", slots=2)
    await desk.enqueue("j0", "j00")
    await desk.claim("fast")
    await desk.join("eyes", modalities="vision")
    await desk.join("ears", modalities="audio")
    await desk.enqueue("v", class_="vision")
    await desk.enqueue("a", class_="audio")
    claims = 0
    while True:
        rung = [worker for worker in ("eyes", "ears") if await desk.rung(worker)]
        if not rung:
            break
        for worker in rung:
            assert (await desk.claim(worker, patience=SLOW))[1] == []
            claims += 1
        assert claims < 10
