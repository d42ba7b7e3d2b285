"""What a llama-server says of itself, and how its answers are sorted."""

from typing import Any

import pytest

from tests.fakes.llama_server import FakeLlamaServer
from worker_bridge.health import ProbeResult
from worker_bridge.llama import LlamaServer
from worker_bridge.props import Props


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(
    ("model_id", "name"),
    [
        ("my-model", "my-model"),
        ("/models/Qwen3-8B-Q4_K_M.gguf", "Qwen3-8B-Q4_K_M"),
        ("/models/big-00001-of-00003.gguf", "big"),
        ("C:\\models\\x.gguf", "x"),
        ("x.gguf", "x"),
    ],
)
def test_model_is_called_by_its_alias_or_its_file(model_id: str, name: str) -> None:
    props = Props(model_id, 1, 2048, "b1", "f", False, modalities=frozenset(), process="")
    assert props.model == name


async def props_of(server: FakeLlamaServer) -> Props:
    async with server.running():
        llama = LlamaServer(server.url, None)
        _, props = await llama.props(1)
        assert props is not None
    return props


async def test_context_modalities_and_process_are_read() -> None:
    server = FakeLlamaServer("fake", context=512, modalities=("vision", "audio"), process="p1")
    props = await props_of(server)
    assert (props.context, props.process) == (512, "p1")
    assert props.modalities == {"vision", "audio"}


@pytest.mark.parametrize(
    ("said", "names"),
    [
        (["fake", "org/fake"], ("fake", "fake", "org/fake")),
        (None, ("fake",)),
        ("org/fake", ("fake",)),
        ([None, 7, "x", ["y"]], ("fake", "x")),
        (["x"] * 1000, ("fake", *["x"] * 100)),
    ],
)
async def test_names_are_the_id_and_the_aliases(said: object, names: tuple[str, ...]) -> None:
    server = FakeLlamaServer("fake")
    server.aliases = said
    assert (await props_of(server)).names == names


async def test_server_that_does_not_tell_its_modalities_has_none() -> None:
    props = await props_of(FakeLlamaServer("fake"))
    assert (props.modalities, props.process) == (frozenset(), "")


@pytest.mark.parametrize("said", [None, "vision", ["vision"], {"vision": "no"}])
async def test_modalities_said_in_other_words_are_none(said: object) -> None:
    class Stranger(FakeLlamaServer):
        def _about_media(self) -> dict[str, object]:
            return {"modalities": said, "media_marker": None}

    props = await props_of(Stranger("fake"))
    assert (props.modalities, props.process) == (frozenset(), "")


async def test_restarted_server_is_told_from_the_one_before() -> None:
    first = await props_of(FakeLlamaServer("fake", process="p1"))
    assert first == await props_of(FakeLlamaServer("fake", process="p1"))
    assert first != await props_of(FakeLlamaServer("fake", process="p2"))


async def test_fingerprint_tells_apart_what_answers_differently() -> None:
    async def fingerprint(model: str) -> str:
        return (await props_of(FakeLlamaServer(model))).fingerprint

    assert await fingerprint("/a/x.gguf") == await fingerprint("/b/x.gguf")
    assert await fingerprint("/a/x.gguf") != await fingerprint("/a/y.gguf")


async def test_fingerprint_tells_models_apart_that_share_an_alias() -> None:
    class Sized(FakeLlamaServer):
        meta: dict[str, int] | None = None

        def _about(self, path: str) -> Any:
            return super()._about(path) if path != "/v1/models" else self._models()

        def _models(self) -> Any:
            return {"data": [{"id": self.model, "meta": self.meta}]}

    async def fingerprint(**meta: int) -> str:
        server = Sized("chat")
        server.meta = meta or None
        return (await props_of(server)).fingerprint

    assert await fingerprint(n_params=8, n_ctx=1) == await fingerprint(n_params=8, n_ctx=2)
    assert await fingerprint(n_params=8) != await fingerprint(n_params=14)
    assert await fingerprint(size=8) != await fingerprint(size=4)
    assert await fingerprint() == (await props_of(FakeLlamaServer("chat"))).fingerprint


async def test_looks_are_sorted_by_what_came_back() -> None:
    server = FakeLlamaServer("fake")
    async with server.running():
        llama = LlamaServer(f"{server.url}/", "key")
        assert await llama.health(1) is ProbeResult.OK
        assert await llama.busy_slots(1) == (ProbeResult.OK, 0)
        server.loading = True
        assert await llama.props(1) == (ProbeResult.LOADING, None)
        server.loading, server.key = False, "another"
        assert await llama.health(1) is ProbeResult.OK
        assert await llama.props(1) == (ProbeResult.UNAUTHORIZED, None)
        server.key = "key"
        server.hanging.add("/slots")
        assert await llama.busy_slots(0.05) == (ProbeResult.SILENT, 0)
    assert await llama.health(1) is ProbeResult.REFUSED
