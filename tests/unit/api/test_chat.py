"""A chat request on its way to the queue, and what its answer tells of the way."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from openai import OpenAI

from api.request_log import log
from api.sse import DONE
from dispatcher.constants import KEYED
from dispatcher.errors import QueueFull, TenantQueueFull
from dispatcher.frames import Kind
from dispatcher.needs import ANYBODY, Needs
from dispatcher.reply import Place
from dispatcher.tier import Tier
from testing.builders import make_chat, make_token
from testing.service import ANSWER, STARTED, Service, a_model, a_worker, end, service

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
SOUND = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
EVENTS = b"".join(frame.payload for frame in ANSWER if frame.kind is Kind.CHUNK)
QUIET_S = 0.05


@pytest.fixture
def api() -> Iterator[Service]:
    with service(queue_position_after_s=QUIET_S) as running:
        yield running


@pytest.fixture
def bounded() -> Iterator[Service]:
    """An API whose tenants may have five jobs in the queue."""
    with service(max_tenant_jobs=5) as running:
        yield running


def asking(*parts: Any) -> bytes:
    return make_chat(messages=[{"role": "user", "content": list(parts)}])


def test_job_has_all_that_decides_who_goes_next(api: Service) -> None:
    body = make_chat(
        messages=[{"role": "user", "content": "x" * 400}],
        service_tier="priority",
        user="u1",
        prompt_cache_key="k",
        max_tokens=9,
    )
    headers = {"x-llamaq-supersede": "tab-7"}
    answer = api.chat(body, headers, sub="ada", weight=3, tier="priority", delegate=True)
    assert answer.status_code == 200
    job = api.queue.jobs[0]
    assert job.path == "/v1/chat/completions"
    assert (job.tenant, job.user, job.tier, job.weight) == ("ada", "u1", Tier.PRIORITY, 3)
    assert (job.prompt_tokens, job.completion_tokens) == (100, 9)
    assert (job.needs, job.supersedes) == (ANYBODY, "0:tab-7")
    assert [name.startswith(KEYED) for name in job.prefixes] == [False, True]


def test_equal_prompts_of_tenants_and_end_users_have_no_name_in_common(api: Service) -> None:
    """M5: see tests/unit/api/chat/test_prefix.py. A delegate's key is for all its end users."""
    for sub, user in (("ada", "u1"), ("ada", "u2"), ("bob", "u1")):
        api.chat(make_chat(user=user, prompt_cache_key="k"), sub=sub, delegate=True)
    first, second, third = [job.prefixes for job in api.queue.jobs]
    assert len({first[0], second[0], third[0]}) == 3
    assert first[1] == second[1] != third[1]


def test_plain_token_gets_the_plain_job(api: Service) -> None:
    api.registry.models = {"tiny": a_model(a_worker(), mean_completion=99.6)}
    api.chat(make_chat(user="u1"), {"X-OpenWebUI-User-Id": "u2"})
    job = api.queue.jobs[0]
    assert (job.user, job.tier, job.weight, job.supersedes) == ("", Tier.DEFAULT, 1, "")
    assert job.completion_tokens == 100


def test_what_llamaq_reads_for_itself_stays_behind(api: Service) -> None:
    own = {"service_tier": "flex", "user": "u", "prompt_cache_key": "k", "store": True}
    own |= {"safety_identifier": "s", "metadata": {"a": "b"}}
    api.chat(make_chat(**own))
    assert not set(own) & set(json.loads(api.queue.jobs[0].body))


def test_longest_conversation_keeps_its_cache_key(api: Service) -> None:
    long = [{"role": "user", "content": str(number)} for number in range(50)]
    api.chat(make_chat(messages=long, prompt_cache_key="k"))
    names = api.queue.jobs[0].prefixes
    assert len(names) == 24
    assert names[-1].startswith(KEYED)


def test_choices_are_jobs_that_don_t_replace_each_other(api: Service) -> None:
    api.chat(make_chat(n=2), {"x-llamaq-supersede": "k"})
    first, second = api.queue.jobs
    assert (first.supersedes, second.supersedes) == ("0:k", "1:k")
    assert first.prefixes == second.prefixes


@pytest.mark.parametrize("stream", [False, True])
def test_answer_and_log_tell_the_tier(
    api: Service, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", log.name):
        answer = api.chat(make_chat(stream=stream, service_tier="priority"), tier="flex")
    assert answer.headers["x-llamaq-tier"] == "flex"
    assert answer.headers["x-llamaq-worker"] == "w1"
    assert "x-llamaq-queue-position" not in answer.headers
    assert "x-ratelimit-limit-requests" not in answer.headers
    assert "tier=flex" in caplog.text


@pytest.mark.parametrize(
    ("headers", "fields", "param"),
    [
        ({}, {"prompt_cache_key": 3}, "prompt_cache_key"),
        ({}, {"user": "x" * 257}, "user"),
        ({"x-llamaq-supersede": ""}, {}, "x-llamaq-supersede"),
    ],
)
def test_bad_terms_are_named(
    api: Service, headers: dict[str, str], fields: dict[str, Any], param: str
) -> None:
    answer = api.chat(make_chat(**fields), headers, delegate=True)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert not api.queue.jobs


@pytest.mark.parametrize(
    ("parts", "modalities", "said"),
    [
        ([PICTURE], set(), "takes images: leave them out"),
        ([PICTURE], {"audio"}, "takes images: "),
        ([SOUND], {"vision"}, "takes audio: "),
        ([PICTURE, SOUND], {"vision"}, "takes audio and images: "),
    ],
)
def test_media_that_no_worker_takes_are_refused(
    api: Service, parts: list[Any], modalities: set[str], said: str
) -> None:
    blind = a_worker(modalities=frozenset(modalities))
    api.registry.models = {"tiny": a_model(blind, a_worker(id="w2"))}
    answer = api.chat(asking(*parts))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "messages")
    assert said in answer.json()["error"]["message"]
    assert "/v1/models" in answer.json()["error"]["message"]
    assert not api.queue.jobs


def test_media_that_one_worker_takes_need_such_a_worker(api: Service) -> None:
    seeing = a_worker(id="w2", modalities=frozenset({"vision", "audio"}))
    api.registry.models = {"tiny": a_model(a_worker(), seeing)}
    assert api.chat(asking(PICTURE)).status_code == 200
    assert api.queue.jobs[0].needs == Needs(frozenset({"vision"}))


def test_worker_that_has_just_come_is_looked_for_before_media_are_refused(api: Service) -> None:
    api.registry.fresh = {"tiny": a_model(a_worker(modalities=frozenset({"video"})))}
    film = {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}}
    assert api.chat(asking(film)).status_code == 200


def test_media_wait_for_a_model_that_has_no_worker_just_now(api: Service) -> None:
    api.registry.models = {"tiny": a_model(seen_s=5.0)}
    assert api.chat(asking(SOUND)).status_code == 200


def test_models_tell_what_their_workers_take(api: Service) -> None:
    workers = [a_worker(modalities=frozenset(taken)) for taken in ({"vision"}, {"audio"}, set())]
    api.registry.models = {"tiny": a_model(*workers)}
    token = {"Authorization": api.chat(make_chat()).request.headers["authorization"]}
    models = api.client.get("/v1/models", headers=token).json()["data"]
    assert models[0]["meta"]["modalities"] == ["audio", "vision"]


EMBEDS = frozenset({"embeddings", "native-embeddings"})


def test_models_tell_what_their_workers_serve(api: Service) -> None:
    embeds, ranks = a_worker(endpoints=EMBEDS), a_worker(endpoints=frozenset({"rerank"}))
    token = {"Authorization": api.chat(make_chat()).request.headers["authorization"]}
    for workers, kinds in (
        ([a_worker()], ["chat"]),
        ([embeds, ranks], ["embedding", "rerank"]),
        ([embeds, a_worker(endpoints=frozenset({"completion"}))], ["chat", "embedding"]),
    ):
        api.registry.models = {"tiny": a_model(*workers)}
        meta = api.client.get("/v1/models", headers=token).json()["data"][0]["meta"]
        assert meta["kinds"] == kinds
        assert meta["endpoints"] == sorted({word for each in workers for word in each.endpoints})


def test_chat_needs_a_worker_that_makes_text_where_another_has_embeddings_only(
    api: Service,
) -> None:
    chats = a_worker(id="w2", endpoints=frozenset({"completion"}))
    api.registry.models = {"tiny": a_model(a_worker(endpoints=EMBEDS), chats)}
    assert api.chat(make_chat()).status_code == 200
    api.registry.models = {"tiny": a_model(chats)}
    assert api.chat(make_chat()).status_code == 200
    assert [str(job.needs) for job in api.queue.jobs] == ["completion", "any"]


def test_chat_with_a_model_of_embeddings_only_is_not_supported(api: Service) -> None:
    api.registry.models = {"tiny": a_model(a_worker(endpoints=EMBEDS))}
    answer = api.chat(make_chat())
    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "not_supported")
    assert not api.queue.jobs


def test_request_by_an_alias_is_one_for_the_model(
    api: Service, caplog: pytest.LogCaptureFixture
) -> None:
    api.registry.models = {"tiny": a_model(a_worker(aliases=("org/tiny",)))}
    with caplog.at_level("INFO", log.name):
        assert api.chat(make_chat(model="org/tiny")).status_code == 200
    job = api.queue.jobs[0]
    assert (job.model, json.loads(job.body)["model"]) == ("tiny", "tiny")
    assert "model=tiny" in caplog.text


def test_model_is_listed_once_and_found_by_each_of_its_names(api: Service) -> None:
    names = ("/models/a b.gguf", "org/tiny", "tiny:latest")
    api.registry.models = {"tiny": a_model(a_worker(aliases=names))}
    token = {"Authorization": f"Bearer {make_token()}"}
    (model,) = api.client.get("/v1/models", headers=token).json()["data"]
    assert (model["id"], model["aliases"]) == ("tiny", list(names))
    for name in ("tiny", *names):
        for path in (quote(name), quote(name, safe="")):
            for door in (f"/v1/models/{path}", f"/models/{path}/"):
                assert api.client.get(door, headers=token).json() == model
    missing = api.client.get("/v1/models/org", headers=token)
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")


def test_superseded_request_is_a_conflict_that_is_not_to_be_retried(api: Service) -> None:
    api.queue.frames = end(Kind.SUPERSEDED)
    answer = api.chat(make_chat())
    assert answer.status_code == 409
    assert answer.headers["x-should-retry"] == "false"
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "superseded")
    assert "answer to that one" in error["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_request_that_made_room_for_another_tenant_may_come_again(
    api: Service, stream: bool
) -> None:
    api.queue.frames = end(Kind.DROPPED)
    answer = api.chat(make_chat(stream=stream))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
    error = answer.json()["error"]
    assert (error["code"], "try again later" in error["message"]) == ("queue_full", True)


@pytest.mark.parametrize("stream", [False, True])
def test_reply_tells_how_many_more_requests_may_wait(bounded: Service, stream: bool) -> None:
    bounded.queue.tenant_queued = 2
    answer = bounded.chat(make_chat(stream=stream))
    assert answer.headers["x-ratelimit-limit-requests"] == "5"
    assert answer.headers["x-ratelimit-remaining-requests"] == "3"


@pytest.mark.parametrize(("asked_s", "told"), [(0, "1"), (7, "7"), (3600, "120")])
@pytest.mark.parametrize("stream", [False, True])
def test_full_queue_tells_when_to_come_back(
    bounded: Service, stream: bool, asked_s: int, told: str
) -> None:
    bounded.queue.refusal = QueueFull("try again later", asked_s)
    answer = bounded.chat(make_chat(stream=stream))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, told)
    assert "x-ratelimit-limit-requests" not in answer.headers


def test_tenant_with_a_full_queue_of_its_own_learns_its_bound(bounded: Service) -> None:
    bounded.queue.refusal = TenantQueueFull("send more later", 7)
    answer = bounded.chat(make_chat())
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.json()["error"]["code"] == "tenant_queue_full"
    assert answer.headers["x-ratelimit-limit-requests"] == "5"
    assert answer.headers["x-ratelimit-remaining-requests"] == "0"


@pytest.mark.parametrize(
    ("place", "said", "headers"),
    [
        (Place(3, 4), b": queued position=3 eta=4s\n", ("3", "4")),
        (Place(3, None), b": queued position=3\n", ("3", None)),
        (None, b": queued waiting=3\n", (None, None)),
    ],
)
def test_waiting_stream_tells_its_place(
    api: Service, place: Place | None, said: bytes, headers: tuple[str | None, str | None]
) -> None:
    api.queue.place, api.queue.wait_s = place, 3 * QUIET_S
    answer = api.chat(make_chat(stream=True))
    exact = b"(?:%b)+%b" % (re.escape(said), re.escape(EVENTS + DONE))
    assert re.fullmatch(exact, answer.content), answer.content
    told = [answer.headers.get(f"x-llamaq-queue-{name}") for name in ("position", "eta")]
    assert tuple(told) == headers


def test_stream_at_work_tells_no_place(api: Service) -> None:
    api.queue.frames, api.queue.place, api.queue.wait_s = (STARTED,), Place(1, 1), QUIET_S / 2
    api.queue.later = ANSWER[1:], 3 * QUIET_S
    answer = api.chat(make_chat(stream=True))
    exact = b"(?:: the model is at work\n)+" + re.escape(EVENTS + DONE)
    assert re.fullmatch(exact, answer.content), answer.content
    assert "x-llamaq-queue-position" not in answer.headers


def test_comment_comes_between_two_events_never_within_one(api: Service) -> None:
    api.queue.frames, api.queue.later = ANSWER[:2], (ANSWER[2:], 3 * QUIET_S)
    answer = api.chat(make_chat(stream=True))
    exact = re.escape(EVENTS) + b"(?:: the model is at work\n)+" + re.escape(DONE)
    assert re.fullmatch(exact, answer.content), answer.content


def test_official_client_reads_a_stream_with_comments(api: Service) -> None:
    api.queue.frames, api.queue.wait_s = ANSWER[:2], 2 * QUIET_S
    api.queue.later = ANSWER[2:], 4 * QUIET_S
    client = OpenAI(base_url="http://testserver/v1", api_key=make_token(), http_client=api.client)
    asked: Any = json.loads(make_chat())
    chunks = list(client.chat.completions.create(**asked, stream=True))
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["Hi"]


@pytest.mark.parametrize(
    ("kind", "code"), [(Kind.SUPERSEDED, "superseded"), (Kind.DROPPED, "queue_full")]
)
def test_stream_that_has_begun_ends_with_the_error_when_its_job_leaves_the_queue(
    api: Service, kind: Kind, code: str
) -> None:
    api.queue.frames, api.queue.wait_s = end(kind), 3 * QUIET_S
    answer = api.chat(make_chat(stream=True))
    assert answer.status_code == 200
    *comments, last = answer.text.removesuffix("\n\n").split("\n")
    assert set(comments) == {": queued waiting=3"}
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == code
