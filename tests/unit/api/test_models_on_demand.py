"""Models that a bridge could load: listed, waited for, and told of while they are loaded."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from api.errors import ApiError
from dispatcher.errors import ModelUnavailable
from dispatcher.model_state import ModelState
from dispatcher.needs import ANYBODY, Needs
from dispatcher.variants import variants_of
from dispatcher.worker_state import WorkerState
from llamaq.status import as_text
from testing.builders import make_chat, make_token
from testing.overviews import overview
from testing.service import ANSWER, Registry, Service, a_model, a_worker, service

QUIET_S = 0.3
NONE: dict[str, Any] = {"server": "", "slots": 0, "accepting": False, "context": 0, "build": ""}
UNKNOWN = a_worker(id="s1", health="unloaded", fingerprint="", host="gpu", **NONE)
KNOWN = replace(UNKNOWN, fingerprint="f", context=1024, endpoints=frozenset({"completion"}))
LOADING, FAILED = replace(UNKNOWN, health="loading"), replace(UNKNOWN, health="failed")
VISION = Needs(frozenset({"vision"}))


@pytest.fixture
def api() -> Iterator[Service]:
    with service(queue_position_after_s=QUIET_S) as running:
        yield running


def directory(*workers: WorkerState, **about: Any) -> Registry:
    registry = Registry()
    registry.models = {"tiny": a_model(*workers, **about)}
    return registry


def listed(api: Service) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {make_token()}"}
    row: dict[str, Any] = api.client.get("/v1/models", headers=headers).json()["data"][0]
    return row


async def test_model_that_could_be_loaded_is_served_and_waited_for() -> None:
    known = directory(UNKNOWN)
    assert await known.require("tiny") == "tiny"
    assert not known.given_up("tiny", 1000)
    await known.require_able("tiny", VISION)  # who knows
    assert not known.lacks("tiny", Needs(fingerprint="f", above_context=5), 1000)


async def test_model_that_was_loaded_once_is_known() -> None:
    known = directory(KNOWN)
    await known.require_able("tiny", ANYBODY)
    with pytest.raises(ApiError, match="takes images"):
        await known.require_able("tiny", VISION)
    assert known.lacks("tiny", Needs(fingerprint="other"), 31)
    assert not known.lacks("tiny", Needs(fingerprint="f"), 31)


async def test_model_that_could_not_be_loaded_is_an_error_at_once() -> None:
    known = directory(FAILED)
    with pytest.raises(ModelUnavailable, match="could not be loaded on gpu: `llamaq status` says"):
        await known.require("tiny")
    assert known.given_up("tiny", 0.1)
    assert not directory(FAILED, UNKNOWN).given_up("tiny", 1000)
    assert not known.models["tiny"].accepting


@pytest.mark.parametrize(
    ("workers", "status", "is_loading"),
    [
        ((UNKNOWN, FAILED), "unloaded", False),
        ((UNKNOWN, LOADING), "loading", True),
        ((a_worker(), LOADING), "loaded", False),
        ((a_worker(health="loading", accepting=False),), "loaded", True),  # it starts again
    ],
)
def test_list_tells_whether_a_model_is_loaded(
    api: Service, workers: tuple[WorkerState, ...], status: str, is_loading: bool
) -> None:
    api.registry.models = {"tiny": a_model(*workers)}
    assert listed(api)["status"] == {"value": status}
    assert api.registry.is_loading("tiny") is is_loading


def test_list_shows_what_is_known_of_a_loaded_model_beside_one_that_is_not(api: Service) -> None:
    api.registry.models = {"tiny": a_model(a_worker(), UNKNOWN)}
    meta = listed(api)["meta"]
    assert (meta["workers"], meta["slots"], meta["n_ctx"], meta["kinds"]) == (1, 2, 1024, ["chat"])
    assert len(variants_of([a_worker(), UNKNOWN, KNOWN])) == 1


def test_stream_that_waits_is_told_at_once_that_its_model_is_loaded(api: Service) -> None:
    api.registry.models = {"tiny": a_model(LOADING)}
    api.queue.frames, api.queue.later = (), (ANSWER, QUIET_S / 2)
    answer = api.chat(make_chat(stream=True))
    assert answer.content.startswith(b": loading model=tiny\ndata: ")
    assert answer.content.count(b": loading") == 1


def test_stream_is_told_again_as_often_as_of_its_place(api: Service) -> None:
    api.registry.models = {"tiny": a_model(LOADING)}
    api.queue.frames, api.queue.later = (), (ANSWER, QUIET_S * 1.5)
    answer = api.chat(make_chat(stream=True))
    assert answer.content.startswith(b": loading model=tiny\n" * 2 + b"data: ")


def test_whole_answer_is_told_nothing(api: Service) -> None:
    api.registry.models = {"tiny": a_model(LOADING)}
    api.queue.frames, api.queue.later = (), (ANSWER, 0.05)
    assert api.chat(make_chat()).json()["choices"][0]["message"]["content"] == "Hi"


def test_comment_is_one_line_whatever_the_model_is_called(api: Service) -> None:
    name = "x\u2028data:y"
    api.registry.models = {name: replace(a_model(LOADING), model=name)}
    api.queue.frames, api.queue.later = (), (ANSWER, 0.05)
    answer = api.chat(make_chat(stream=True, model=name))
    assert answer.content.startswith(b": loading model=x data:y\ndata: ")


def test_request_of_which_nobody_knew_that_it_can_not_be_done_ends_soon(api: Service) -> None:
    """It was for a model that was never loaded; now it is, and takes no images."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    chat = make_chat(messages=[{"role": "user", "content": [image]}])
    api.registry.models = {"tiny": a_model(UNKNOWN)}
    api.registry._grace_s = 0.05
    api.queue.frames = ()

    def know(models: dict[str, ModelState]) -> None:
        api.registry.models = models

    api.queue.when_submitted = lambda: know({"tiny": a_model(KNOWN)})
    answer = api.chat(chat)
    assert (answer.status_code, "takes images" in answer.text) == (400, True)


def test_status_shows_what_could_be_loaded_and_what_failed() -> None:
    failed = replace(FAILED, reason="its server has ended")
    shown = as_text(overview(a_model(UNKNOWN, failed))).splitlines()
    assert [" ".join(line.split()) for line in shown[1:]] == [
        "s1 unloaded could load it on gpu",
        "s1 failed could not load it on gpu",
        "its server has ended",
    ]
