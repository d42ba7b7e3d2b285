"""Large bodies are read one at a time, tenant by tenant."""

import asyncio

from api.aside import LARGE_BYTES, Aside


async def test_one_large_body_at_a_time_and_tenants_take_turns() -> None:
    aside, entered, let_go = Aside(), [], asyncio.Semaphore(0)

    async def read(tenant: str, size_bytes: int = LARGE_BYTES) -> None:
        async with aside.alone(tenant, size_bytes):
            entered.append(tenant)
            if size_bytes >= LARGE_BYTES:
                await let_go.acquire()

    tasks = [asyncio.create_task(read("many")) for _ in range(5)]
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(read("few")), asyncio.create_task(read("small", 10))]
    await asyncio.sleep(0.001)
    assert entered == ["many", "small"]
    tasks[1].cancel()  # who waits
    tasks[0].cancel()  # who has it
    for count in range(3, 7):
        await asyncio.sleep(0.001)
        assert len(entered) == count
        let_go.release()
    assert "few" in entered[2:4]
    await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(30), aside.alone("later", LARGE_BYTES):
        pass
