"""Which models a token is for: what it may ask, and what it gets to see of the others."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from httpx import Response

from dispatcher.needs import COMPLETION, INFILL
from testing.builders import make_chat, make_token
from testing.service import Service, a_model, a_worker, service

BIG = a_model(a_worker(aliases=("large",)), model="org/big", given=("gpt-4o",))
SECRET = a_model(a_worker(), model="secret")
TINY = a_model(a_worker(), model="tiny")
AWAY = a_model(model="away", seen_s=3600.0)


@pytest.fixture
def api() -> Iterator[Service]:
    with service() as running:
        running.registry.models = {each.model: each for each in (BIG, SECRET, TINY, AWAY)}
        running.registry.aliases = {"gpt-4o": "org/big"}
        yield running


def ask(api: Service, model: Any, **claims: Any) -> Response:
    return api.chat(make_chat(model=model), **claims)


def code_of(answer: Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.parametrize("names", [["org/big"], ["large"], ["gpt-4o", "nobody"], ["*"]])
@pytest.mark.parametrize("asked", ["org/big", "large", "gpt-4o"])
def test_any_name_in_the_token_stands_for_its_model(
    api: Service, names: list[str], asked: str
) -> None:
    assert ask(api, asked, models=names).status_code == 200
    assert api.queue.jobs[-1].model == "org/big"


@pytest.mark.parametrize("asked", ["secret", "away", "nobody", "tiny"])
def test_of_all_other_models_nothing_is_told(api: Service, asked: str) -> None:
    answer = ask(api, asked, models=["gpt-4o", "lost"])
    assert code_of(answer) == (403, "model_not_allowed")
    message = f"The token may not be used for the model '{asked}'."
    assert answer.json()["error"]["message"] == f"{message} The token's models are: gpt-4o, lost."
    assert ask(api, asked, models=[]).status_code == 403


def test_error_has_the_form_of_the_endpoint(api: Service) -> None:
    answer = api.chat(make_chat(model="secret", max_tokens=5), path="/v1/messages", models=["tiny"])
    assert answer.status_code == 403
    assert answer.json()["error"]["type"] == "permission_error"
    assert answer.json()["type"] == "error"


def test_allowed_model_that_is_not_there_is_told_without_the_others(api: Service) -> None:
    answer = ask(api, "lost", models=["lost"])
    assert code_of(answer) == (404, "model_not_found")
    assert "secret" not in answer.text
    assert code_of(ask(api, "away", models=["away"])) == (503, "model_unavailable")


def test_request_without_a_model_means_the_one_that_its_token_is_for(api: Service) -> None:
    assert ask(api, ..., models=["gpt-4o"]).status_code == 200
    assert api.queue.jobs[-1].model == "org/big"
    answer = ask(api, ..., models=["gpt-4o", "tiny"])
    assert code_of(answer) == (400, "invalid_request")
    assert answer.json()["error"]["message"].endswith("models are: gpt-4o, tiny.")


def test_of_several_it_is_the_one_that_can_serve_the_request(api: Service) -> None:
    fills = a_model(a_worker(endpoints=frozenset({COMPLETION, INFILL})), model="fills")
    plain = a_model(a_worker(endpoints=frozenset({COMPLETION})), model="tiny")
    api.registry.models = {each.model: each for each in (SECRET, fills, plain)}
    body = json.dumps({"input_prefix": "a", "input_suffix": "b"}).encode()
    api.chat(body, path="/infill", models=["fills", "tiny"])
    assert api.queue.jobs[-1].model == "fills"


def test_default_that_cannot_serve_a_request_gives_way_to_no_other_model(api: Service) -> None:
    fills = a_model(a_worker(endpoints=frozenset({COMPLETION, INFILL})), model="fills")
    plain = a_model(a_worker(endpoints=frozenset({COMPLETION})), model="tiny")
    api.registry.models = {each.model: each for each in (fills, plain)}
    api.registry.aliases = {"*": "tiny"}
    body = json.dumps({"model": "x", "input_prefix": "a", "input_suffix": "b"}).encode()
    answer = api.chat(body, path="/infill", models=["tiny"])
    assert (answer.status_code, api.queue.jobs) == (403, [])


def test_operators_default_is_for_tokens_that_may_use_it(api: Service) -> None:
    api.registry.aliases = {"*": "tiny"}
    assert ask(api, "unheard of", models=["tiny", "org/big"]).status_code == 200
    assert ask(api, ..., models=["tiny", "org/big"]).status_code == 200
    assert {job.model for job in api.queue.jobs} == {"tiny"}
    assert code_of(ask(api, "unheard of", models=["org/big"])) == (403, "model_not_allowed")
    assert ask(api, ..., models=["org/big"]).status_code == 200


def test_model_that_has_just_come_is_found(api: Service) -> None:
    alias = a_model(a_worker(aliases=("new",)), model="newer")
    api.registry.fresh = {**api.registry.models, "newer": alias}
    assert ask(api, "newer", models=["new"]).status_code == 200


def test_list_shows_only_them(api: Service) -> None:
    def get(path: str, **claims: Any) -> Response:
        return api.client.get(path, headers={"x-api-key": make_token(**claims)})

    listed = get("/v1/models", models=["large", "away", "nobody"]).json()["data"]
    assert [each["id"] for each in listed] == ["org/big"]
    assert get("/v1/models", models=[]).json()["data"] == []
    assert get("/v1/models/gpt-4o", models=["large"]).json()["id"] == "org/big"
    for name in ("secret", "nobody"):
        assert code_of(get(f"/v1/models/{name}", models=["large"])) == (403, "model_not_allowed")
    assert get("/v1/models/nobody").status_code == 404
    for path in ("/v1/models", "/v1/models/tiny"):
        assert code_of(get(path, scopes=["chat"])) == (403, "scope_not_allowed")
