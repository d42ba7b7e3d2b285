"""What a llama-server says of itself, and how its answers are sorted."""

from typing import Any

import pytest

from dispatcher.needs import TRANSCRIPTION
from testing.fake_llama_server import OWN, FakeLlamaServer
from worker_bridge.health import ProbeResult
from worker_bridge.llama import LlamaServer
from worker_bridge.props import Props


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
    assert TRANSCRIPTION in props.endpoints
    assert TRANSCRIPTION not in (await props_of(FakeLlamaServer("fake"))).endpoints


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


ASKED = {"/v1/embeddings", "/v1/rerank", "/infill"}


class Embedder(FakeLlamaServer):
    """Has a model of embeddings only, or one without pooling where `pooling` says so."""

    pooling = "mean"

    def _status(self, path: str) -> int:
        return {OWN: 500, "/v1/embeddings": 400}.get(path) or super()._status(path)

    def _about(self, path: str) -> Any:
        said = {
            OWN: "the current context does not support logits computation. skipping",
            "/v1/embeddings": '"input" or "content" must be provided',
        }
        if self.pooling == "none":
            said["/v1/embeddings"] = "Pooling type 'none' is not OAI compatible."
        return {"error": {"message": said[path]}} if path in said else super()._about(path)


async def test_endpoints_are_those_that_do_not_answer_501() -> None:
    server = FakeLlamaServer("fake")
    assert (await props_of(server)).endpoints == {"completion"}
    assert OWN not in server.looks
    server.endpoints = {"/v1/rerank", "/infill"}
    assert (await props_of(server)).endpoints == {"completion", "infill", "rerank"}


async def test_server_of_embeddings_only_makes_no_text_and_is_asked_for_an_embedding() -> None:
    server = Embedder("fake")
    server.endpoints = {"/v1/embeddings", "/embeddings"}
    async with server.running():
        llama = LlamaServer(server.url, None)
        _, props = await llama.props(1)
        assert props is not None
        assert await llama.generate(1) is ProbeResult.OK
    assert props.endpoints == {"embeddings", "native-embeddings"}
    assert server.looks[-1] == "/embeddings"


async def test_server_without_pooling_serves_embeddings_in_its_own_form_only() -> None:
    server = Embedder("fake")
    server.pooling = "none"
    server.endpoints = {"/v1/embeddings", "/embeddings"}
    assert (await props_of(server)).endpoints == {"native-embeddings"}


@pytest.mark.parametrize("process", ["", "p1"])
async def test_endpoints_are_asked_for_again_only_where_it_may_be_another_server(
    process: str,
) -> None:
    server = FakeLlamaServer("fake", process=process)
    async with server.running():
        llama = LlamaServer(server.url, None)
        await llama.props(1)
        server.slots = 3
        await llama.props(1)
        assert sorted(path for path in server.looks if path in ASKED) == sorted(ASKED)
        server.endpoints = {"/infill"}
        server.loading = True
        assert await llama.props(1) == (ProbeResult.LOADING, None)
        server.loading, server.process = False, process and "p2"
        _, props = await llama.props(1)
    assert props is not None
    assert "infill" in props.endpoints


@pytest.mark.parametrize(
    ("status", "probe"), [(503, ProbeResult.LOADING), (401, ProbeResult.UNAUTHORIZED)]
)
async def test_server_that_does_not_tell_what_it_serves_is_asked_again(
    status: int, probe: ProbeResult
) -> None:
    class Loading(FakeLlamaServer):
        loads = True

        def _status(self, path: str) -> int:
            return status if path == "/infill" and self.loads else super()._status(path)

    server = Loading("fake", process="p1")
    server.endpoints = {"/infill"}
    async with server.running():
        llama = LlamaServer(server.url, None)
        assert await llama.props(1) == (probe, None)
        server.hanging.add("/infill")
        assert await llama.props(0.1) == (ProbeResult.SILENT, None)
        server.loads = False
        server.hanging.clear()
        _, props = await llama.props(1)
    assert props is not None
    assert props.endpoints == {"completion", "infill"}


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
