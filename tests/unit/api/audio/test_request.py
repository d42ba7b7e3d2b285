"""A request for a transcription becomes a chat's, or an error that names its field."""

import json
from base64 import b64decode
from typing import Any

import pytest

from api.audio.request import USUAL_PROMPT, parse_transcription
from api.chat.request import ChatRequest
from api.errors import ApiError
from dispatcher.job import Want
from dispatcher.needs import Needs
from testing.builders import make_form, make_settings
from testing.service import a_model, a_worker, service

PATH = "/v1/audio/transcriptions"
SOUND = b"RIFF\x00\xff"
NEEDS = Needs(frozenset({"audio", "transcription"}))


def asked(**fields: str) -> ChatRequest:
    return parse_transcription(make_form(fields, file=SOUND), make_settings())


def sent(chat: ChatRequest) -> dict[str, Any]:
    (body,) = chat.work("ann", 0).bodies
    found: dict[str, Any] = json.loads(body)
    return found


def refusal(body: bytes) -> tuple[str | None, str]:
    with pytest.raises(ApiError) as caught:
        parse_transcription(body, make_settings())
    assert caught.value.status == 400
    return caught.value.param, caught.value.message


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, USUAL_PROMPT),
        ({"prompt": "", "language": ""}, USUAL_PROMPT),
        ({"language": "de"}, f"{USUAL_PROMPT} (language: de)"),
        ({"prompt": "Write"}, "Write"),
        ({"prompt": "Write", "language": "de"}, "Write (language: de)"),
    ],
)
def test_chat_is_the_one_that_llama_server_makes(fields: dict[str, str], said: str) -> None:
    chat = asked(model="tiny", **fields)
    (message,) = sent(chat)["messages"]
    text, heard = message["content"]
    assert (message["role"], text) == ("user", {"type": "text", "text": said})
    assert heard["type"] == "input_audio"
    assert b64decode(heard["input_audio"]["data"]) == SOUND
    assert (chat.needs, chat.model, chat.choices) == (NEEDS, "tiny", 1)


def test_texts_of_a_form_become_what_they_mean() -> None:
    chat = asked(temperature="0.5", max_tokens=" 12 ", seed="-1", top_k="4", ignore_eos="True")
    fields = sent(chat)
    meant = {"temperature": 0.5, "max_tokens": 12, "seed": -1, "top_k": 4, "ignore_eos": True}
    assert {name: fields[name] for name in meant} == meant
    assert chat.max_tokens == 12
    assert chat.work("ann", 0).completion_tokens == 12


@pytest.mark.parametrize(
    ("said", "stream"),
    [("true", True), ("True", True), ("1", True), ("false", False), ("0", False)],
)
def test_a_stream_tells_its_tokens_at_its_end(said: str, stream: bool) -> None:
    chat = asked(stream=said)
    assert (chat.stream, Want.USAGE in chat.work("ann", 0).wants) == (stream, True)
    assert not chat.unknown.ignored


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"temperature": "warm"}, "must be a number"),
        ({"temperature": ""}, "must be a number"),
        ({"temperature": "nan"}, "must be a number"),
        ({"temperature": "1_0"}, "must be a number"),
        ({"max_tokens": "12.5"}, "must be a whole number"),
        ({"max_tokens": "-4"}, "must be from -1"),
        ({"max_tokens": "9" * 5000}, "must be a whole number"),
        ({"stream": "yes"}, "must be true or false"),
        ({"response_format": "text"}, "must be one of json"),
        ({"response_format": "verbose_json"}, "must be one of json"),
        ({"language": "x" * 65}, "64 characters"),
        ({"prompt": "x" * 65_537}, "65536 characters"),
        ({"model": "x" * 257}, "model"),
    ],
)
def test_bad_value_is_refused_by_its_name(fields: dict[str, str], says: str) -> None:
    param, message = refusal(make_form(fields, file=SOUND))
    assert [param] == list(fields)
    assert says in message


@pytest.mark.parametrize(
    "body", [make_form({"file": "x"}), make_form({}, file=b""), make_form({"model": "a"})]
)
def test_sound_must_be_a_file(body: bytes) -> None:
    param, message = refusal(body)
    assert param == "file"
    assert "must be a file" in message


def test_a_field_may_be_there_once() -> None:
    twice = make_form({"model": "a"})[: -len(b"--b--\r\n")] + make_form({"model": "b"}, file=SOUND)
    assert refusal(twice) == ("model", "`model` must be there once only.")


def test_a_text_may_be_no_file() -> None:
    body = make_form({}, file=SOUND, prompt=b"Write")
    assert refusal(body) == ("prompt", "`prompt` must be a text, not a file.")


def test_what_has_no_effect_is_told_without_the_brackets_of_lists() -> None:
    fields = {"include[]": "logprobs", "timestamp_granularities[]": "word", "n_probs": "3"}
    fields["prompt[]"] = "a"
    body = make_form(fields, file=SOUND, picture=b"x")
    ignored = parse_transcription(body, make_settings()).unknown.ignored
    assert list(ignored) == ["include", "timestamp_granularities", "n_probs", "prompt[]", "picture"]


@pytest.mark.parametrize(
    ("abilities", "says"),
    [({"completion"}, "transcribes"), ({"completion", "vision"}, "--mmproj"), ({"embeddings"}, "")],
)
def test_where_nobody_hears_it_is_no_fault_of_the_request(abilities: set[str], says: str) -> None:
    with service() as api:
        worker = a_worker(endpoints=frozenset(abilities))
        api.registry.models = {"tiny": a_model(worker)}
        answer = api.chat(make_form({"model": "tiny"}, file=SOUND), path=PATH)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (501, "not_supported")
    assert says in error["message"]
    assert answer.headers["x-should-retry"] == "false"


def test_a_large_sound_passes_and_one_beyond_the_bound_does_not() -> None:
    able = frozenset({"completion", "audio", "transcription"})
    with service(max_body_bytes=2**20) as api:
        api.registry.models = {"tiny": a_model(a_worker(endpoints=able))}
        large = make_form({"model": "tiny"}, file=b"x" * (2**20 - 999))
        taken = api.chat(large, path=PATH)
        refused = api.chat(large + b"x" * 999, path=PATH)
    assert taken.json()["text"] == "Hi"
    assert refused.status_code == 413
    (job,) = api.queue.jobs
    assert job.path == "/v1/chat/completions"
    assert len(job.body) > 2**20
