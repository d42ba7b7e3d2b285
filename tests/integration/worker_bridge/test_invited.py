"""A bridge with the Redis user of an invited machine: it serves as any other, on a real Redis."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from hashlib import sha256

import httpx
import pytest

from dispatcher.connection import open_redis
from dispatcher.invitations import Invitation, remove_invitation, write_invitation
from dispatcher.invited_users import admit, expel
from dispatcher.invited_watch import InvitedWatch
from dispatcher.keys import MODELS
from dispatcher.redis_login import with_login
from llamaq.invite_work import uninvite
from testing.fake_llama_server import Chat, answer
from testing.replies import say_the_rest
from testing.stage import WHOLE, Stage
from testing.waiting import until
from tests.unit.worker_bridge.vandal import Vandal

pytestmark = pytest.mark.real

MACHINE, PASSWORD = "bob", "secret-of-bob"


@pytest.fixture
async def invited(stage: Stage) -> AsyncIterator[Invitation]:
    """The machine `bob`, invited to the model of the stage, whose bridges have its user."""
    invitation = await invite(stage, MACHINE)
    stage.bridge_url = with_login(stage.redis_url, f"invited-{MACHINE}", PASSWORD)
    yield invitation
    await remove_invitation(stage.redis, MACHINE)
    await expel(stage.redis, MACHINE)


async def invite(stage: Stage, machine: str) -> Invitation:
    hashed = sha256(PASSWORD.encode()).hexdigest()
    invitation = Invitation(machine, stage.model, hashed, 1)
    await write_invitation(stage.redis, invitation)
    await admit(stage.redis, invitation)
    return invitation


async def has_cancelled(stage: Stage) -> bool:
    return "cancelled" in [job["state"] for job in await stage.jobs()]


async def refusals(stage: Stage) -> list[str]:
    """What Redis has refused its users."""
    log = await stage.redis.acl_log()
    return [f"{entry['username']}: {entry['reason']} {entry['object']}" for entry in log]


async def test_whole_life_of_a_bridge_is_allowed(stage: Stage, invited: Invitation) -> None:
    begun = asyncio.Event()

    async def hang(chat: Chat) -> None:
        await chat.say("Hello")
        begun.set()
        await chat.hang()

    await stage.redis.acl_log_reset()
    server = stage.server()
    async with stage.bridged(server):
        assert await asyncio.gather(*[stage.text() for _ in range(5)]) == [WHOLE] * 5
        assert (await stage.facts(server))["invited"] == MACHINE
        assert await stage.redis.zscore(MODELS, stage.model) is not None  # an API has said so
        stage.script.append(hang)
        asking = asyncio.create_task(stage.ask(stream=True))
        await begun.wait()
        asking.cancel()
        await until(lambda: has_cancelled(stage))
    await until(stage.has_workers(0))
    assert await refusals(stage) == []


async def test_bridge_goes_on_when_redis_has_lost_the_scripts(
    stage: Stage, invited: Invitation
) -> None:
    async with stage.bridged(stage.server()):
        await stage.redis.script_flush()
        assert await stage.text() == WHOLE


async def test_users_are_back_after_redis_has_forgotten_them(
    stage: Stage, invited: Invitation
) -> None:
    await expel(stage.redis, MACHINE)
    async with stage.bridged(stage.server()):
        assert await stage.text() == WHOLE


async def test_stream_of_a_machine_whose_invitation_ends_goes_on_elsewhere_within_2_s(
    stage: Stage, invited: Invitation
) -> None:
    begun = asyncio.Event()

    async def begin(chat: Chat) -> None:
        await chat.say("Hello")
        begun.set()
        await chat.hang()

    stage.script.extend([begin, say_the_rest])
    async with stage.bridged(stage.server(), lease_s=20):
        stage.bridge_url = stage.redis_url
        asking = asyncio.create_task(stage.events())
        await begun.wait()
        async with stage.bridged(stage.server()):
            started = time.monotonic()
            assert await uninvite(MACHINE, 4, stage.redis_url) == 1
            *shown, last = await asking
            took_s = time.monotonic() - started
    assert last == "[DONE]"
    texts = [c["delta"].get("content", "") for e in shown for c in json.loads(e)["choices"]]
    assert "".join(texts) == WHOLE
    assert took_s < 4  # on a busy machine; the lease is much longer


async def test_bridge_of_another_model_is_told_so(
    stage: Stage, invited: Invitation, caplog: pytest.LogCaptureFixture
) -> None:
    server = stage.server()
    async with server.running(), stage.bridge(server, model="other"):
        await until(lambda: "was invited to another model than 'other'" in caplog.text)


async def test_garbage_of_an_invited_machine_harms_no_other_model(
    stage: Stage, api_url: str, invited: Invitation
) -> None:
    """Any row, script or frame that it may write: every API lives on, other models don't notice."""
    other = Stage(stage.redis_url, stage.client)
    guest = open_redis(stage.bridge_url)
    vandal = Vandal(guest.link, stage.redis, stage.model, seed=14)
    asked: set[asyncio.Task[httpx.Response]] = set()
    async with stage.bridged(stage.server()), other.bridged(other.server()):
        for turn in range(60):
            asked |= {asyncio.create_task(stage.ask(stream=turn % 2 == 0)) for _ in range(2)}
            await vandal.rage()
            if turn % 10 == 9:
                assert await other.text() == WHOLE
                assert (await stage.client.get("/v1/models")).status_code == 200
                await vandal.clear()
        # What it does to the answers of its own model is its own: but they are answers.
        done, others = await asyncio.wait(asked, timeout=1)
        for task in others:
            task.cancel()
        assert {task.result().status_code for task in done} <= {200, 429, 502, 503, 504}
        assert not any("set-cookie" in task.result().headers for task in done)
        await guest.aclose()
        await InvitedWatch(stage.redis, "test", lambda: {}, 2**30).wipe(stage.model)
        assert await other.text() == WHOLE
    await other.redis.aclose()


async def test_requests_of_a_model_whose_keys_were_removed_are_answered(stage: Stage) -> None:
    """After the watch has wiped it, one that runs and one that waits begin anew by themselves."""
    begun, go = asyncio.Event(), asyncio.Event()

    async def wait(chat: Chat) -> None:
        begun.set()
        await go.wait()
        await answer(chat)

    stage.script.extend([wait] * 3)
    async with stage.bridged(stage.server()):
        asked = [asyncio.create_task(stage.text()) for _ in range(3)]
        await begun.wait()
        await InvitedWatch(stage.redis, "test", lambda: {}, 2**30).wipe(stage.model)
        go.set()
        assert await asyncio.gather(*asked) == [WHOLE] * 3
