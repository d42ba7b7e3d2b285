"""Embeddings and rerank of real servers, directly and through llamaq."""

import base64
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from redis import Redis

from dispatcher.keys import Keys
from testing.processes import LlamaServer, answers, free_port, llamaq, program
from testing.tiny_models import write_tiny_model
from testing.waiting import wait_until
from tests.end_to_end.conftest import Fleet

pytestmark = pytest.mark.real

WORDS = [f"text number {number} of many" * 10 for number in range(300)]
DOCUMENTS = ["bac", "hello", "x", "hello there", "a b c"]


@dataclass(frozen=True, slots=True)
class Workers:
    """The first of two servers of the model `embeds`, and one of the model `ranks`."""

    embed: LlamaServer
    rank: LlamaServer
    client: httpx.Client

    def both(self, path: str, **fields: Any) -> tuple[httpx.Response, httpx.Response]:
        """A server's own answer, and that of llamaq."""
        server = self.rank if "rank" in path else self.embed
        own = httpx.post(server.url + path, json=fields, headers={"Connection": "close"})
        return own, self.client.post(path, json=fields)


@pytest.fixture(scope="module")
def workers(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    folder = tmp_path_factory.mktemp("bodies")
    for name in ("embeds", "ranks"):
        write_tiny_model(folder / f"{name}.gguf", ranks=name == "ranks")
    servers = [
        LlamaServer(folder / f"{name}.gguf", free_port(), name, 2, options=(option,))
        for name, option in (
            ("embeds", "--embeddings"),
            ("embeds", "--embeddings"),
            ("ranks", "--reranking"),
        )
    ]
    with ExitStack() as stack:
        for number, server in enumerate(servers):
            stack.enter_context(program(server.command(), folder / f"{number}.log"))
        for server in servers:
            wait_until(lambda url=server.url: answers(f"{url}/health"), 30)  # type: ignore[misc]
        arguments = [word for server in servers for word in ("--server", server.url)]
        environment = {"LLAMAQ_REDIS_URL": fleet.redis_url}
        command = llamaq("bridge", *arguments)
        running = stack.enter_context(program(command, folder / "bridge.log", environment))
        wait_until(lambda: running.output.count("joined worker=") == 3, 30)
        yield Workers(servers[0], servers[2], stack.enter_context(fleet.http()))


@pytest.mark.parametrize("format_", ["float", "base64"])
@pytest.mark.parametrize("count", [1, 300])
def test_embeddings_are_those_of_the_server(workers: Workers, format_: str, count: int) -> None:
    asked = {"model": "embeds", "input": WORDS[:count], "encoding_format": format_}
    own, ours = workers.both("/v1/embeddings", **asked)
    assert (own.status_code, ours.status_code) == (200, 200), ours.text
    assert list(ours.json()) == list(own.json())
    assert without_data(ours) == without_data(own)
    assert_same(ours.json()["data"], own.json()["data"])
    if count == 1:
        assert ours.content == own.content


def test_many_inputs_are_shared_by_the_workers(workers: Workers, fleet: Fleet) -> None:
    answer = workers.client.post("/v1/embeddings", json={"model": "embeds", "input": WORDS})
    job = Keys("embeds").named("job", answer.headers["x-request-id"])
    with Redis.from_url(fleet.redis_url, decode_responses=True) as redis:
        names = [redis.hget(key, "worker") for key in redis.keys(f"{job}-*")]
    assert len(names) == 5
    assert len(set(names)) == 2


def test_open_webui_embeds_and_ranks(workers: Workers) -> None:
    """As its retrieval/utils.py and retrieval/models/external.py ask."""
    asked = {"input": WORDS[:2], "model": "embeds"}
    data = workers.client.post("/v1/embeddings", json=asked).json()["data"]
    assert [isinstance(each["embedding"], list) for each in data] == [True, True]
    asked = {"model": "ranks", "query": "hello", "documents": DOCUMENTS, "top_n": len(DOCUMENTS)}
    results = workers.client.post("/v1/rerank", json=asked).json()["results"]
    assert sorted(each["index"] for each in results) == list(range(len(DOCUMENTS)))
    assert all(isinstance(each["relevance_score"], float) for each in results)


def without_data(answer: httpx.Response) -> dict[str, Any]:
    return {**answer.json(), "data": None}


def assert_same(ours: list[dict[str, Any]], own: list[dict[str, Any]]) -> None:
    """But for the last digits of numbers: which inputs are computed together changes them."""
    for one, other in zip(ours, own, strict=True):
        assert {**one, "embedding": None} == {**other, "embedding": None}
        assert vector_of(one) == pytest.approx(vector_of(other), abs=1e-5)


def vector_of(one: dict[str, Any]) -> Any:
    vector = one["embedding"]
    if isinstance(vector, str):
        return np.frombuffer(base64.b64decode(vector), "<f4")
    return np.array(vector).ravel()


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/embeddings", {"input": "hello"}),
        ("/v1/embeddings", {"input": [5, 6, 7]}),
        ("/v1/embeddings", {"input": [[5, 6], [7], "text"]}),
        ("/v1/embeddings", {"input": ["", "a"], "embd_normalize": -1}),
        ("/v1/embeddings", {"content": "hello"}),
        ("/embeddings", {"content": ["hello", "b"]}),
        ("/embedding", {"input": "hello", "encoding_format": "base64"}),
    ],
)
def test_each_form_of_input_is_answered_as_by_the_server(
    workers: Workers, path: str, fields: dict[str, Any]
) -> None:
    own, ours = workers.both(path, model="embeds", **fields)
    assert (own.status_code, ours.status_code) == (200, 200), ours.text
    if isinstance(own.json(), dict):
        assert without_data(ours) == without_data(own)
        assert_same(ours.json()["data"], own.json()["data"])
    else:
        assert_same(ours.json(), own.json())


@pytest.mark.parametrize(
    "fields",
    [
        {"documents": DOCUMENTS},
        {"documents": DOCUMENTS, "top_n": 2},
        {"documents": DOCUMENTS, "top_n": 0},
        {"texts": DOCUMENTS, "return_text": True},
        {"texts": DOCUMENTS[:2]},
    ],
)
@pytest.mark.parametrize("path", ["/v1/rerank", "/reranking"])
def test_rerank_is_that_of_the_server(workers: Workers, path: str, fields: dict[str, Any]) -> None:
    own, ours = workers.both(path, model="ranks", query="hello", **fields)
    assert (own.status_code, ours.status_code) == (200, 200), ours.text
    found, expected = (each.json() for each in (ours, own))
    if isinstance(expected, dict):
        assert {**found, "results": None} == {**expected, "results": None}
        found, expected = found["results"], expected["results"]
    scores = [
        [each.pop("relevance_score", each.get("score")) for each in s] for s in (found, expected)
    ]
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)
    assert [{**each, "score": 0} for each in found] == [{**each, "score": 0} for each in expected]


def test_request_of_tei_names_no_model(workers: Workers) -> None:
    answer = workers.client.post("/rerank", json={"query": "hello", "texts": DOCUMENTS})
    assert (answer.status_code, len(answer.json())) == (200, len(DOCUMENTS))


def test_empty_query_is_refused(workers: Workers) -> None:
    """With an empty document it ends a server by SIGABRT."""
    answer = workers.client.post("/v1/rerank", json={"query": "", "documents": [""]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "query")
    answer = workers.client.post("/v1/rerank", json={"query": "a", "documents": ["", ""]})
    assert answer.status_code == 200, answer.text


def test_official_client_embeds_texts(workers: Workers, fleet: Fleet) -> None:
    client = fleet.openai()
    answer = client.embeddings.create(model="embeds", input=WORDS[:3])
    assert [each.index for each in answer.data] == [0, 1, 2]
    assert {len(each.embedding) for each in answer.data} == {32}
    assert answer.model == "embeds"
    with pytest.raises(openai.BadRequestError, match="dimensions"):
        client.embeddings.create(model="embeds", input="a", dimensions=8)


@pytest.mark.parametrize(
    ("path", "fields", "said"),
    [
        ("/v1/embeddings", {"input": "a"}, "serves embeddings: start its llama-server with --em"),
        ("/embedding", {"content": "a"}, "serves embeddings: start its llama-server with --em"),
        ("/rerank", {"query": "a", "documents": ["b"]}, "serves rerank: start its llama-server"),
    ],
)
def test_model_that_does_not_serve_it_is_not_supported(
    fleet: Fleet, path: str, fields: dict[str, Any], said: str
) -> None:
    with fleet.http() as client:
        answer = client.post(path, json={"model": "tiny", **fields})
    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "not_supported")
    assert said in answer.json()["error"]["message"]


def test_chat_with_a_model_of_embeddings_is_not_supported(workers: Workers) -> None:
    asked = {"model": "embeds", "messages": [{"role": "user", "content": "Hi"}]}
    answer = workers.client.post("/v1/chat/completions", json=asked)
    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "not_supported")
    models = {each["id"]: each["meta"] for each in workers.client.get("/v1/models").json()["data"]}
    assert models["embeds"]["kinds"] == ["embedding"]
    assert models["ranks"]["kinds"] == ["embedding", "rerank"]
    assert models["tiny"]["kinds"] == ["chat"]


def test_input_that_is_too_long_is_refused_in_the_servers_words(workers: Workers) -> None:
    own, ours = workers.both("/v1/embeddings", model="embeds", input=["a", "b " * 600])
    assert ours.status_code == 400
    assert ours.json()["error"]["message"] == own.json()["error"]["message"]
