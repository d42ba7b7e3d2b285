"""Transcriptions on a real server that hears: what it says itself, also over a loss."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from api.audio.request import parse_transcription
from api.audio.shape import TranscriptionShape
from api.chat.splice import Splice
from api.endpoint import Piece
from dispatcher.job import Job
from testing.builders import make_settings, make_token
from testing.processes import LlamaServer, answers, api, bridge, free_port, valkey
from testing.tiny_ear import sound, write_tiny_ear
from testing.waiting import wait_until
from tests.end_to_end.test_seams import WANTS, frames, play

pytestmark = pytest.mark.real

PATH = "/v1/audio/transcriptions"
FILE = {"file": ("a.wav", sound(), "audio/wav")}
GREEDY = {"model": "hears", "temperature": "0", "max_tokens": "20"}


@dataclass(frozen=True, slots=True)
class Hearing:
    """A real server that hears, asked by itself (`own`) and through llamaq (`ours`)."""

    own: httpx.Client
    ours: httpx.Client
    redis_url: str

    def both(self, **fields: str) -> tuple[httpx.Response, httpx.Response]:
        asked = {"data": GREEDY | fields, "files": FILE}
        return self.own.post(PATH, **asked), self.ours.post(PATH, **asked)  # type: ignore[arg-type]

    def openai(self) -> OpenAI:
        return OpenAI(base_url=f"{self.ours.base_url}/v1", api_key=make_token(), max_retries=0)


@pytest.fixture(scope="module")
def hearing(tmp_path_factory: pytest.TempPathFactory, models: dict[str, Path]) -> Iterator[Hearing]:
    folder = tmp_path_factory.mktemp("hearing")
    write_tiny_ear(folder / "ear.gguf")
    options = ("--mmproj", str(folder / "ear.gguf"))
    server = LlamaServer(models["tiny"], free_port(), "hears", 2, exact=True, options=options)
    with ExitStack() as stack:
        redis_url = stack.enter_context(valkey(folder))
        _, url = stack.enter_context(api(redis_url, folder / "api.log"))
        stack.enter_context(server.running(folder / "server.log"))
        stack.enter_context(bridge(redis_url, server, folder / "bridge.log"))
        wait_until(lambda: answers(f"{url}/ready"))
        kept = {"timeout": 60.0, "trust_env": False}
        own = httpx.Client(base_url=server.url, headers={"Connection": "close"}, **kept)  # type: ignore[arg-type]
        token = {"Authorization": f"Bearer {make_token()}"}
        ours = httpx.Client(base_url=url, headers=token, **kept)  # type: ignore[arg-type]
        yield Hearing(stack.enter_context(own), stack.enter_context(ours), redis_url)


@pytest.mark.parametrize("stream", ["false", "true"])
def test_isolated_transcription_tells_nothing_of_caches(
    hearing: Hearing, isolated: httpx.Client, stream: str
) -> None:
    fields = GREEDY | {"prompt": "Write it down, please, in English", "stream": stream}
    texts = [
        client.post(PATH, data=fields, files=FILE).text
        for client in (*[hearing.ours] * 3, isolated)  # each of the two slots has it then
    ]
    cached = [re.findall(r'"cached_tokens":\s?(\d+)', text) for text in texts]
    assert int(cached[-2][0]) > 0
    assert cached[-1] == ["0"], texts[-1]
    assert not re.search(r'"timings"|"id_slot":\s?\d', texts[-1]), texts[-1]


@pytest.fixture(scope="module")
def isolated(hearing: Hearing, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Asks another API of the same fleet, which isolates."""
    log = tmp_path_factory.mktemp("isolated") / "api.log"
    token = {"Authorization": f"Bearer {make_token(sub='thief')}"}
    with api(hearing.redis_url, log, isolate_cache="1") as (_, url):
        wait_until(lambda: answers(f"{url}/ready"))
        with httpx.Client(base_url=url, headers=token, timeout=60, trust_env=False) as client:
            yield client


def comparable(answer: dict[str, Any]) -> dict[str, Any]:
    """Without what was in the cache."""
    return {**answer, "usage": {**answer["usage"], "input_tokens_details": ["cached_tokens"]}}


@pytest.mark.parametrize(
    "fields",
    [{}, {"language": "de"}, {"prompt": "Write it down", "language": "fr"}, {"max_tokens": "0"}],
    ids=str,
)
def test_answer_equals_what_the_server_answers_by_itself(
    hearing: Hearing, fields: dict[str, str]
) -> None:
    own, ours = hearing.both(**fields)
    assert (own.status_code, ours.status_code) == (200, 200), ours.text
    assert comparable(own.json()) == comparable(ours.json())
    assert list(own.json()) == list(ours.json())


def test_stream_has_the_server_s_events(hearing: Hearing) -> None:
    def told(answer: httpx.Response) -> tuple[str, Any, str]:
        *events, done, nothing = answer.text.split("\n\n")
        *deltas, last = [json.loads(event.removeprefix("data: ")) for event in events]
        assert {delta["type"] for delta in deltas} == {"transcript.text.delta"}
        assert ("".join(delta["delta"] for delta in deltas), nothing) == (last["text"], "")
        return answer.headers["content-type"], comparable(last), done

    own, ours = hearing.both(stream="true")
    assert told(own) == told(ours)


def test_official_client_gets_a_transcript(hearing: Hearing) -> None:
    asked: Any = {"model": "hears", "temperature": 0, "extra_body": {"max_tokens": 20}}
    with hearing.openai() as client:
        whole = client.audio.transcriptions.create(file=FILE["file"], **asked)
        stream = client.audio.transcriptions.create(file=FILE["file"], stream=True, **asked)
        *deltas, last = list(stream)
        other = client.audio.transcriptions.create(file=("b.wav", sound(1.3)), **asked)
    assert whole.text
    assert whole.usage.output_tokens == 20
    assert "".join(event.delta for event in deltas) == last.text == whole.text
    assert other.text != whole.text, "the model is deaf"


def test_request_needs_no_more_than_a_file(hearing: Hearing) -> None:
    """As Open WebUI asks, but for the model, of which there is only one here."""
    answer = hearing.ours.post("/audio/transcriptions", files=FILE)
    assert answer.status_code == 200, answer.text
    assert answer.json()["text"]


def test_who_can_hear_says_so(hearing: Hearing) -> None:
    (model,) = hearing.ours.get("/v1/models").json()["data"]
    assert "transcription" in model["meta"]["endpoints"]


def test_sound_that_is_none_is_the_request_s_fault(hearing: Hearing) -> None:
    with hearing.openai() as client, pytest.raises(openai.BadRequestError) as refused:
        client.audio.transcriptions.create(model="hears", file=("a.wav", b"no sound"))
    assert "Failed to load" in refused.value.message


def test_stream_goes_on_wherever_it_breaks_off(hearing: Hearing) -> None:
    form = httpx.Request("POST", PATH, data={**GREEDY, "stream": "true"}, files=FILE).read()
    (body,) = parse_transcription(form, make_settings()).work("ann", 0).bodies
    job = Job("j", "hears", "ann", body, WANTS, 9, 9)
    whole = frames(hearing.own, body)

    def shown(events: bytes) -> tuple[str, dict[str, Any]]:
        shape = TranscriptionShape()
        told = shape.take(Piece(0, events)) + shape.end()
        *deltas, last, _, _ = told.split(b"\n\n")
        text = "".join(json.loads(event[6:])["delta"] for event in deltas)
        return text, comparable(json.loads(last[6:]))

    expected = shown(play(Splice(job), whole))
    for cut in range(1, len(whole), 5):
        splice = Splice(job)
        events = play(splice, whole[:cut])
        rest = splice.lose()
        events += play(splice, frames(hearing.own, rest.body)) if rest else splice.end()
        assert shown(events) == expected, f"cut behind event {cut}"
    assert expected[0] == expected[1]["text"]
    assert len(whole) > 15
