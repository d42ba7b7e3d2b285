"""Requests to rerank: what they may hold, and how their answers pass."""

import json
from typing import Any

import pytest

from api.errors import ApiError
from api.rerank.answer import RerankAssembly
from api.rerank.request import MAX_DOCUMENTS, RerankRequest, parse_rerank
from dispatcher.errors import WorkerFailed
from testing.builders import make_settings

SETTINGS = make_settings()
RESULTS = [{"index": 1, "relevance_score": 0.5}, {"index": 0, "relevance_score": -0.25}]


def parsed(**fields: Any) -> RerankRequest:
    fields = {"model": "org/m", "query": "q", "documents": ["a", "b"]} | fields
    return parse_rerank(json.dumps(fields).encode(), SETTINGS)


def body_of(asked: RerankRequest) -> dict[str, Any]:
    (body,) = asked.of_model("m", 0).work("ann", 0).bodies
    found: dict[str, Any] = json.loads(body)
    return found


def test_request_reaches_the_server_without_what_that_does_not_read() -> None:
    asked = parsed(top_n=1.0, return_documents=True, user="ann", truncate=None)
    sent = {"model": "m", "query": "q", "documents": ["a", "b"], "top_n": 1}
    assert body_of(asked) == sent
    assert str(asked.needs) == "rerank"


def test_texts_make_it_a_request_of_tei() -> None:
    asked = parsed(texts=["c"], return_text=True)
    assert body_of(asked) == {"model": "m", "query": "q", "texts": ["c"], "return_text": True}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"query": None}, "query"),
        ({"query": 5}, "query"),
        ({"query": ""}, "query"),
        ({"query": " "}, "query"),
        *(({"documents": value}, "documents") for value in (None, [], "a", [5], [{"text": "a"}])),
        ({"documents": ["a"] * (MAX_DOCUMENTS + 1)}, "documents"),
        ({"texts": []}, "texts"),
        ({"top_n": -1}, "top_n"),
        ({"top_n": "x"}, "top_n"),
        ({"return_text": "x"}, "return_text"),
        ({"model": 5}, "model"),
    ],
)
def test_bad_fields_are_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as raised:
        parsed(**fields)
    assert (raised.value.status, raised.value.param) == (400, param)


def test_query_counts_for_each_document() -> None:
    assert parsed(query="q" * 400, documents=["d" * 40] * 10).work("ann", 0).prompt_tokens == 1110


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({"model": "m", "results": RESULTS}, {"model": "org/m", "results": RESULTS}),
        ({"results": RESULTS, "model": "m"}, {"results": RESULTS, "model": "org/m"}),
        (RESULTS, RESULTS),
    ],
)
def test_answer_passes_under_the_name_that_was_asked_for(said: Any, shown: Any) -> None:
    assembly = RerankAssembly(parsed())
    assembly.add(0, b"what a lost worker said")
    assembly.restart(0)
    body = json.dumps(said, separators=(",", ":")).encode()
    for piece in (body[:12], body[12:]):
        assembly.add(0, piece)
    assert assembly.body() == json.dumps(shown, separators=(",", ":")).encode()


def test_answer_that_is_no_json_is_an_error() -> None:
    assembly = RerankAssembly(parsed())
    assembly.add(0, b"<html>")
    with pytest.raises(WorkerFailed, match="can't be read"):
        assembly.body()
