"""A stream of llama.cpp's own events whose worker is lost, on a scripted queue."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from api.sse import json_event
from dispatcher.frames import FROM_SCRIPT, Frame, Kind
from dispatcher.needs import COMPLETION, INFILL, Needs
from testing.builders import make_token
from testing.service import STARTED, Service, a_model, a_worker, service

LOST = Frame(Kind.LOST, FROM_SCRIPT, payload=b'{"code":"worker_failed","message":"It crashed."}')
DONE = Frame(Kind.DONE, 9, payload=b'{"prompt_tokens": 4, "completion_tokens": 1}')


@pytest.fixture
def api() -> Iterator[Service]:
    with service() as running:
        running.registry.models = {
            "tiny": a_model(a_worker(endpoints=frozenset({COMPLETION, INFILL})))
        }
        yield running


def part(seq: int, text: str, tokens: int, **more: Any) -> Frame:
    counts = {"tokens_predicted": tokens, "tokens_evaluated": 4}
    said = {"index": 0, "content": text, "tokens": [], "stop": False, **counts, **more}
    return Frame(Kind.CHUNK, seq, tokens, json_event(said))


def last(seq: int, tokens: int) -> Frame:
    settings = {"n_predict": 8, "stream": True}
    told = {"prompt": "Once up", "stop_type": "eos", "generation_settings": settings}
    return part(seq, "", tokens, **{"stop": True, **told})


def ask(api: Service, path: str, **body: Any) -> list[Any]:
    headers = {"Authorization": f"Bearer {make_token()}"}
    answer = api.client.post(path, json={"stream": True, **body}, headers=headers)
    assert answer.status_code == 200, answer.text
    return [json.loads(event[6:]) for event in answer.text.split("\n\n") if event]


def test_completion_goes_on_as_one_stream(api: Service) -> None:
    api.queue.frames = (STARTED, part(1, " up", 1), LOST)
    api.queue.continued = [(STARTED, part(1, "on", 1), last(2, 1), DONE)]
    api.queue.needs = Needs(fingerprint="f")
    first, second, end = ask(api, "/completion", prompt="Once", n_predict=9)
    assert (first["content"], second["content"]) == (" up", "on")
    assert (end["prompt"], end["tokens_predicted"], end["stop_type"]) == ("Once", 2, "eos")
    assert end["generation_settings"]["n_predict"] == 9
    rest = api.queue.rests[0]
    body = json.loads(rest.body)
    assert (body["prompt"], body["n_predict"], rest.same_fingerprint) == ("Once up", 8, True)
    assert (api.queue.jobs[0].path, api.queue.jobs[0].form) == ("/completion", '"stop":true')


def test_gap_that_was_begun_ends_with_one_error(api: Service) -> None:
    api.queue.frames = (STARTED, part(1, "ret", 1), LOST)
    shown, error = ask(api, "/infill", input_prefix="a", input_suffix="b")
    assert shown["content"] == "ret"
    assert "within a gap" in error["error"]["message"]
    assert api.queue.jobs[0].path == "/infill"


def test_request_that_could_mean_several_models_is_refused(api: Service) -> None:
    api.registry.models = {name: a_model(a_worker(), model=name) for name in ("a", "b")}
    headers = {"Authorization": f"Bearer {make_token()}"}
    gap = {"input_prefix": "a", "input_suffix": "b"}
    answer = api.client.post("/infill", json=gap, headers=headers)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")
    assert "a, b" in answer.json()["error"]["message"]


def test_request_without_a_model_goes_to_the_one_that_can_fill_gaps(api: Service) -> None:
    able = a_worker(endpoints=frozenset({COMPLETION, INFILL}))
    api.registry.models = {"a": a_model(a_worker(), model="a"), "b": a_model(able, model="b")}
    api.queue.frames = (STARTED, last(1, 0), DONE)
    ask(api, "/infill", input_prefix="a", input_suffix="b")
    job = api.queue.jobs[0]
    assert (job.model, json.loads(job.body)["model"]) == ("b", "b")
