"""Under which names a worker serves its model."""

import asyncio

import pytest

from testing.fake_llama_server import Chat
from testing.stage import Stage
from testing.waiting import until
from worker_bridge.names import Aliases


def test_full_id_and_aliases_are_names_besides_the_own_one() -> None:
    said = ("org/tiny", "org/tiny", "tiny", "fast")
    assert Aliases("tiny", only=False).of(said) == "fast org/tiny"


def test_name_that_an_operator_has_chosen_is_the_only_one() -> None:
    assert Aliases("mine", only=True).of(("org/tiny", "fast")) == ""


@pytest.mark.parametrize("name", ["", "a b", "{a}", "a|b", "a\x00", "a\n", "a\u2028b", "x" * 201])
def test_what_can_be_no_name_is_left_out(name: str) -> None:
    assert Aliases("tiny", only=False).of((name, "ok")) == "ok"


def test_what_is_left_out_is_told_in_one_line_once(caplog: pytest.LogCaptureFixture) -> None:
    aliases = Aliases("tiny", only=False)
    said = ("a\nb", "{c}", *(f"{number:02}" for number in range(18)))
    for _ in range(3):
        assert aliases.of(said) == " ".join(f"{number:02}" for number in range(16))
    (record,) = caplog.records
    assert "not served: 'a\\nb', '{c}', '16', '17'. " in record.getMessage()
    assert "\n" not in record.getMessage()


@pytest.mark.real
@pytest.mark.usefixtures("sees_changes_soon")
async def test_worker_shows_its_aliases_and_follows_its_server(stage: Stage) -> None:
    server = stage.server()
    server.aliases = [server.model, f"org/{server.model}"]
    async with stage.bridged(server):
        await until(stage.knows(server, aliases=f"org/{server.model}"))
        answer = await stage.ask(model=f"org/{server.model}")
        assert answer.json()["model"] == server.model
        server.aliases = [server.model, "a"]
        await until(stage.knows(server, aliases="a"))


@pytest.mark.real
@pytest.mark.usefixtures("sees_changes_soon")
async def test_worker_that_leaves_has_no_names_of_the_model_that_came(stage: Stage) -> None:
    server = stage.server()
    server.aliases, server.reply = ["old"], Chat.hang
    async with stage.bridged(server):
        asking = asyncio.create_task(stage.ask())
        await until(stage.has_job("running"))
        server.model, server.aliases = f"{stage.model}-2", ["new"]
        await until(stage.knows(server, health="draining"))
        assert (await stage.facts(server))["aliases"] == "old"
    asking.cancel()


@pytest.mark.real
async def test_worker_with_a_chosen_name_shows_no_other(stage: Stage) -> None:
    server = stage.server()
    server.model, server.aliases = "org/its-own", ["org/its-own"]
    async with stage.bridged(server, model=stage.model):
        assert (await stage.facts(server))["aliases"] == ""
        assert (await stage.ask()).json()["model"] == stage.model
        assert (await stage.ask(model="org/its-own")).status_code == 404
