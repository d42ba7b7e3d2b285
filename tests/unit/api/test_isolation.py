"""`LLAMAQ_ISOLATE_CACHE`: answers tell nothing of caches, and are whole all the same."""

import json

from api.chat.completion import Completion
from api.endpoints import ENDPOINTS
from api.isolation import hidden, isolated
from api.jobs import jobs_of
from api.tenant import Tenant
from api.terms import Terms
from dispatcher.job import Want
from testing.builders import make_chat, make_settings

CHAT = ENDPOINTS[0]
LAST = (
    b'data: {"choices":[{"finish_reason":"stop","index":0,"delta":{"content":"Hi"}}],"created":1,'
    b'"id":"a","model":"tiny","timings":{"cache_n":9,"prompt_n":1,"predicted_n":2}}\n\n'
    b'data: {"choices":[],"created":1,"id":"a","model":"tiny","usage":{"completion_tokens":2,'
    b'"prompt_tokens":10,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":9}},'
    b'"timings":{"cache_n":9,"prompt_n":1,"predicted_n":2}}\n\ndata: [DONE]\n\n'
)


def test_text_that_looks_like_a_count_stays() -> None:
    text = json.dumps({"content": '{"cached_tokens":9,"timings":{"a":1},"id_slot":3}'}).encode()
    assert hidden(text) == text


def test_value_that_only_has_timings_stays_a_value() -> None:
    for said in (
        b'{"timings":{"a":1}}',
        b'{"timings":{"a":1},"b":2}',
        b'{"b":2,"timings":{"a":1}}',
    ):
        assert "timings" not in json.loads(hidden(said))


def test_job_asks_for_nothing_that_tells() -> None:
    settings = make_settings(isolate_cache=True)
    options = {"return_progress": True, "timings_per_token": True, "stream": True}
    asked = CHAT.read(make_chat(**options, stream_options={"include_usage": True}), settings)
    (job,) = jobs_of(CHAT, asked.work("ann", 0), Tenant("ann"), Terms(), "r1", settings)
    assert job.wants == {Want.STREAM, Want.USAGE}


def test_stream_that_goes_on_elsewhere_tells_nothing_either() -> None:
    settings = make_settings(isolate_cache=True)
    asked = CHAT.read(make_chat(stream=True), settings)
    (job,) = jobs_of(CHAT, asked.work("ann", 0), Tenant("ann"), Terms(), "r1", settings)
    splice = isolated(CHAT)(job)
    splice.note_prompt(b'data: {"prompt_progress":{"total":10,"cache":9,"processed":10}}')
    begun = LAST.partition(b"\n\n")[0].replace(b'"stop"', b"null") + b"\n\n"
    assert b"timings" not in splice.show(begun, 2)
    assert splice.lose() is not None
    assert (splice.is_spliced, splice.seen_tokens) == (True, 2)
    completion = Completion()
    completion.add(shown := splice.show(LAST, 2))
    assert b"timings" not in shown
    usage = completion.usage
    assert usage is not None
    assert usage["prompt_tokens_details"] == {"cached_tokens": 0}
    told = splice.shown(4)
    assert told is not None
    assert told.cached == 9  # what is counted stays true


def test_what_answers_with_one_value_is_not_searched() -> None:
    embeddings = next(endpoint for endpoint in ENDPOINTS if endpoint.path == "/v1/embeddings")
    assert isolated(embeddings) is embeddings.splice
