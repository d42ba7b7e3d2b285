"""Fields that an endpoint does not know: what is passed on, and what a client is told."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from api.endpoint import Endpoint
from api.endpoints import ENDPOINTS
from api.unknown_fields import NONE, header_of
from testing.builders import make_form, make_settings
from testing.service import Service, a_model, a_worker, service

HEADER = "x-llamaq-ignored"
SAID = [{"role": "user", "content": "Hi"}]
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": SAID, "tools": [], "seed": 1, "prompt_cache_key": "k"},
    "/v1/completions": {"prompt": "a", "logprobs": 1, "echo": False},
    "/v1/responses": {
        **{"input": "a", "instructions": "b", "truncation": "disabled"},
        **{"include": ["message.output_text.logprobs"], "reasoning": {}, "text": {}},
        "metadata": {},
    },
    "/v1/messages": {
        **{"messages": SAID, "max_tokens": 5, "system": "b", "thinking": {"type": "disabled"}},
        **{"stop_sequences": ["a"], "metadata": {}, "top_k": 4},
    },
    "/v1/audio/transcriptions": {"prompt": "a", "language": "b", "response_format": "json"},
    "/v1/embeddings": {"input": "a", "encoding_format": "float"},
    "/embeddings": {"content": "a", "embd_normalize": 2},
    "/v1/rerank": {"query": "a", "documents": ["b"], "top_n": 1},
    "/completion": {"prompt": "a", "n_predict": 5, "return_tokens": True},
    "/infill": {"input_prefix": "a", "input_suffix": "b", "input_extra": []},
    "/tokenize": {"content": "a", "add_special": True},
    "/detokenize": {"tokens": [1]},
    "/apply-template": {"messages": SAID},
    "/v1/chat/completions/input_tokens": {"messages": SAID},
    "/v1/responses/input_tokens": {"input": "a"},
    "/v1/messages/count_tokens": {"messages": SAID},
}
OPERATORS = {"lora": [{"id": 0, "scale": 1.0}], "id_slot": 3}
EACH = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)


@pytest.fixture(scope="module")
def api() -> Iterator[Service]:
    with service() as running:
        able = frozenset({"completion", "embeddings", "native_embeddings", "rerank", "infill"})
        able |= {"audio", "transcription"}
        running.registry.models = {"tiny": a_model(a_worker(endpoints=able))}
        yield running


def body_of(endpoint: Endpoint[Any], **fields: Any) -> bytes:
    assert endpoint.path in BODIES, "a new endpoint needs a body here"
    said = {"model": "tiny", **BODIES[endpoint.path], **fields}
    if endpoint.media_type == "application/json":
        return json.dumps(said).encode()
    texts = {
        name: each if isinstance(each, str) else json.dumps(each) for name, each in said.items()
    }
    return make_form({name: text for name, text in texts.items() if text != "null"}, file=b"sound")


@EACH
def test_request_without_unknown_fields_costs_nothing(endpoint: Endpoint[Any]) -> None:
    assert endpoint.read(body_of(endpoint), make_settings()).unknown is NONE


@EACH
def test_client_is_told_what_has_no_effect(api: Service, endpoint: Endpoint[Any]) -> None:
    answer = api.chat(body_of(endpoint, cached=1, top_z=None, betas=["b"]), path=endpoint.path)
    assert answer.headers[HEADER] == "cached, betas"
    assert HEADER not in api.chat(body_of(endpoint), path=endpoint.path).headers
    lost = api.chat(body_of(endpoint, model="none", cached=1), path=endpoint.path)
    assert (lost.status_code, lost.headers[HEADER]) == (404, "cached")


@EACH
def test_operator_has_further_fields_passed_on(endpoint: Endpoint[Any]) -> None:
    settings = make_settings(forward_fields="lora, id_slot")
    asked = endpoint.read(body_of(endpoint, other=True, **OPERATORS), settings)
    (body, *_) = asked.of_model("tiny", 0).work("ada", 0.0).bodies
    sent = json.loads(body)
    assert {name: sent.get(name) for name in OPERATORS} == OPERATORS
    assert "other" not in sent
    assert tuple(asked.unknown.ignored) == ("other",)
    plain = endpoint.read(body_of(endpoint, **OPERATORS), make_settings())
    (body, *_) = plain.of_model("tiny", 0).work("ada", 0.0).bodies
    assert not OPERATORS.keys() & json.loads(body).keys()


@pytest.mark.parametrize(
    ("path", "fields", "named"),
    [
        ("/v1/chat/completions", {"stream_options": {}, "timings_per_token": True}, 2),
        ("/v1/chat/completions", {"stream_options": {}, "stream": True}, 0),
        ("/v1/chat/completions", {"user": "u", "service_tier": "scale"}, 2),
        ("/v1/completions", {"stream_options": {}}, 1),
        ("/v1/messages", {"metadata": {"user_id": "u"}}, 1),
        ("/v1/responses", {"safety_identifier": "u"}, 1),
        ("/v1/responses", {"user": "u"}, 1),
        ("/completion", {"return_progress": True}, 1),
        ("/v1/responses", {"store": True, "truncation": "auto", "include": ["x"]}, 3),
        ("/v1/responses", {"background": False, "previous_response_id": ""}, 0),
    ],
)
def test_known_field_without_effect_is_named_too(
    api: Service, path: str, fields: dict[str, Any], named: int
) -> None:
    body = json.dumps({"model": "tiny", **BODIES[path], **fields}).encode()
    answer = api.chat(body, path=path)
    assert answer.status_code != 400, answer.text
    expected = set(fields) if named else set()
    assert set(filter(None, answer.headers.get(HEADER, "").split(", "))) == expected
    assert len(expected) == named


def test_stream_tells_it_too(api: Service) -> None:
    body = json.dumps({"model": "tiny", "messages": SAID, "stream": True, "store": True})
    assert api.chat(body.encode()).headers[HEADER] == "store"


def test_names_that_clients_choose_can_not_forge_or_flood_a_reply(api: Service) -> None:
    odd = ["x\r\nset-cookie: a", "é", "", "a b", "x" * 49]
    names = [*odd, *(f"{'n' * 45}{number}" for number in range(100))]
    assert header_of(odd) == "+5"
    shown = header_of(names)
    assert len(shown) <= 1024
    assert re.fullmatch(r"(n{45}\d+, ){20}\+85", shown)
    body = json.dumps({"model": "tiny", "messages": SAID, **dict.fromkeys(names, 1)})
    answer = api.chat(body.encode())
    assert answer.headers[HEADER] == shown
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ("lora, model", "model: llamaq sets"),
        ("stream", "llamaq sets"),
        ("messages,prompt", "messages, prompt"),
        ("lora id_slot", "'lora id_slot' is none"),
    ],
)
def test_operator_can_not_pass_on_what_llamaq_says_itself(names: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        make_settings(forward_fields=names)
