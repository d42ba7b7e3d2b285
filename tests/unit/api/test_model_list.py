"""GET /v1/models and /v1/models/{id}: what they tell of each model."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from openai.types import Model

from testing.builders import make_chat, make_token
from testing.service import Service, a_model, a_worker, service

Q4 = {"quantisation": "Q4_K - Medium", "size_bytes": 4_900_000_000, "parameters": 8_000_000_000}
Q8 = {"quantisation": "Q8_0", "size_bytes": 8_500_000_000, "parameters": 8_000_000_000}
QWEN = a_model(
    a_worker(id="w1", fingerprint="f4", aliases=("qwen",), trained_context=40960, slots=4, **Q4),
    a_worker(
        id="w2", fingerprint="f8", context=512, build="b2", endpoints={"completion", "infill"}, **Q8
    ),
    a_worker(id="w3", fingerprint="f4", protocol=0, context=1, **Q4),
    model="org/qwen",
    given=("*", "gpt-4o"),
    first_served_s=1_795_000_000,
)
STRANGE = a_model(a_worker(protocol=0), model="strange")


@pytest.fixture
def api() -> Iterator[Service]:
    with service() as running:
        running.registry.models = {state.model: state for state in (STRANGE, QWEN)}
        running.registry.aliases = {"gpt-4o": "org/qwen"}
        yield running


def get(api: Service, path: str) -> Any:
    answer = api.client.get(path, headers={"Authorization": f"Bearer {make_token()}"})
    return answer.json() if answer.status_code == 200 else answer.status_code


def test_model_is_described_with_all_that_its_workers_tell(api: Service) -> None:
    qwen, _ = get(api, "/v1/models")["data"]
    meta = qwen.pop("meta")
    assert qwen == {
        **{"id": "org/qwen", "aliases": ["gpt-4o", "qwen"], "object": "model"},
        **{"created": 1_795_000_000, "owned_by": "llamaq", "status": {"value": "loaded"}},
    }
    assert meta == {
        **{"workers": 2, "slots": 6, "n_ctx": 512, "n_ctx_train": 40960, "modalities": []},
        **{"endpoints": ["completion", "infill"], "kinds": ["chat"], "builds": ["b1", "b2"]},
        **{"ftype": "Q4_K - Medium", "n_params": 8_000_000_000, "size": 4_900_000_000},
        **{"default": True, "variants": meta["variants"]},
    }
    assert [
        (v["fingerprint"], v["ftype"], v["workers"], v["slots"], v["build"])
        for v in meta["variants"]
    ] == [
        ("f4", "Q4_K - Medium", 1, 4, "b1"),
        ("f8", "Q8_0", 1, 2, "b2"),
    ]
    assert Model.model_validate(qwen, strict=True).created == 1_795_000_000


def test_model_that_only_strangers_serve_is_listed_as_such(api: Service) -> None:
    _, strange = get(api, "/v1/models")["data"]
    assert (strange["meta"]["workers"], strange["meta"]["variants"]) == (0, [])
    assert strange["created"] == 0


@pytest.mark.parametrize("name", ["org/qwen", quote("org/qwen", safe=""), "qwen", "gpt-4o"])
def test_model_is_found_by_each_name(api: Service, name: str) -> None:
    assert get(api, f"/v1/models/{name}")["id"] == "org/qwen"


def test_name_that_nobody_has_is_found_where_there_is_a_default(api: Service) -> None:
    assert get(api, "/v1/models/claude") == 404
    api.registry.aliases = {"*": "qwen"}
    assert get(api, "/v1/models/claude")["id"] == "org/qwen"


@pytest.mark.parametrize("name", ["claude", "", None, ...])
def test_chat_of_an_unknown_model_or_none_is_the_defaults(api: Service, name: object) -> None:
    assert api.chat(make_chat(model=name)).status_code == (404 if name == "claude" else 400)
    api.registry.aliases = {"*": "org/qwen"}
    assert api.chat(make_chat(model=name)).status_code == 200
    (job,) = api.queue.jobs
    assert (job.model, json.loads(job.body)["model"]) == ("org/qwen", "org/qwen")
