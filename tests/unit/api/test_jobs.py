"""The jobs that a request becomes."""

import json
from collections.abc import Iterator

import pytest

from dispatcher.errors import TenantQueueFull
from dispatcher.frames import Frame, Kind
from dispatcher.job import BODY
from testing.builders import make_chat, make_token
from testing.service import STARTED, Service, a_model, a_worker, service

TOKEN = {"Authorization": f"Bearer {make_token()}"}
MANY = {"model": "tiny", "input": ["x" * 6000] * 6}
PIECE = (
    b'{"model":"tiny","object":"list","usage":{"prompt_tokens":3,"total_tokens":3},"data":['
    b'{"embedding":[0.5],"index":0,"object":"embedding"},'
    b'{"embedding":[0.5],"index":1,"object":"embedding"},'
    b'{"embedding":[0.5],"index":2,"object":"embedding"}]}'
)


@pytest.fixture
def api() -> Iterator[Service]:
    with service() as running:
        words = frozenset({"completion", "embeddings", "rerank"})
        running.registry.models = {"tiny": a_model(a_worker(endpoints=words))}
        yield running


def test_pieces_of_a_request_are_let_in_with_the_first(api: Service) -> None:
    api.queue.frames = (
        STARTED,
        Frame(Kind.CHUNK, 1, payload=PIECE),
        Frame(Kind.DONE, 2, payload=b'{"prompt_tokens": 3, "completion_tokens": 0}'),
    )
    answer = api.client.post("/v1/embeddings", json=MANY, headers=TOKEN)
    assert [each["index"] for each in answer.json()["data"]] == [0, 1, 2, 3, 4, 5]
    assert answer.json()["usage"] == {"prompt_tokens": 6, "total_tokens": 6}
    told = [(str(job.needs), job.path, job.form, job.is_admitted) for job in api.queue.jobs]
    assert told == [("embeddings", "/v1/embeddings", BODY, first > 0) for first in range(2)]
    assert [len(json.loads(job.body)["input"]) for job in api.queue.jobs] == [3, 3]
    assert [job.part for job in api.queue.jobs] == ["", "prompt"]
    assert {job.completion_tokens for job in api.queue.jobs} == {0}


def test_choices_of_a_chat_are_let_in_one_by_one(api: Service) -> None:
    assert api.chat(make_chat(n=2)).status_code == 200
    assert [job.is_admitted for job in api.queue.jobs] == [False, False]
    assert [job.part for job in api.queue.jobs] == ["", "choice"]


def test_request_that_is_refused_at_its_first_piece_has_no_other(api: Service) -> None:
    api.queue.refusal = TenantQueueFull("2 of your requests wait.", 5)
    answer = api.client.post("/v1/embeddings", json=MANY, headers=TOKEN)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "tenant_queue_full")
    assert not api.queue.jobs


@pytest.mark.parametrize("path", ["/v1/rerank", "/rerank", "/v1/reranking/", "/reranking"])
def test_rerank_is_one_job_at_every_door(api: Service, path: str) -> None:
    said = b'{"model":"tiny","results":[]}'
    done = Frame(Kind.DONE, 2, payload=b'{"prompt_tokens": 3, "completion_tokens": 0}')
    api.queue.frames = (STARTED, Frame(Kind.CHUNK, 1, payload=said), done)
    asked = {"model": "tiny", "query": "q", "documents": ["x" * 6000] * 6}
    answer = api.client.post(path, json=asked, headers=TOKEN)
    assert (answer.content, answer.headers["content-type"]) == (said, "application/json")
    assert [(job.path, str(job.needs)) for job in api.queue.jobs] == [("/v1/rerank", "rerank")]
