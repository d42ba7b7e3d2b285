import asyncio
import json

import pytest
from starlette.types import Message

import api.body
from api.body import has_left, parse_json, parse_object
from api.errors import ApiError

DEPTH = 8


def refusal(body: bytes) -> str:
    with pytest.raises(ApiError) as caught:
        parse_object(body, DEPTH)
    assert caught.value.status == 400
    return caught.value.message


@pytest.mark.parametrize(
    ("body", "advice"),
    [
        (b"", "must be JSON"),
        (b"{", "must be JSON"),
        (b'{"a": 1} x', "must be JSON"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"a": "\xff"}', "must be UTF-8; byte 7"),
        ('{"a": 1}'.encode("utf-16"), "must be UTF-8"),
        (b'\xef\xbb\xbf\xef\xbb\xbf{"a": 1}', "must be JSON"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"a": 1e999}', "1e999 is too large"),
        (b'{"a": ' + b"1" * 5000 + b"}", "must be JSON"),
        (b'{"a": "\\ud83d"}', "surrogate"),
    ],
)
def test_what_is_no_json_object_is_refused_with_the_reason(body: bytes, advice: str) -> None:
    assert advice in refusal(body)


@pytest.mark.parametrize("opened", ["[", '{"a":', '[{"a":', '{"a":['])
def test_depth_is_counted_over_lists_and_objects_alike(opened: str) -> None:
    brackets = opened.count("[") + opened.count("{")
    closed = opened.translate({ord("["): "]", ord("{"): "}"})
    closed = "".join(reversed([c for c in closed if c in "]}"]))

    def nested(depth: int) -> bytes:
        times = depth // brackets
        return (opened * times + "1" + closed * times).encode()

    assert parse_json(nested(DEPTH), DEPTH) == json.loads(nested(DEPTH))
    with pytest.raises(ApiError, match="deeper than 8"):
        parse_json(nested(DEPTH + brackets), DEPTH)


@pytest.mark.parametrize("depth", [1_000, 180_000])
@pytest.mark.parametrize("opened", [b"[", b'{"a":'])
def test_a_tower_of_brackets_never_exhausts_the_stack(opened: bytes, depth: int) -> None:
    assert "deeper than 8" in refusal(b'{"a":' + opened * depth)


def test_brackets_in_strings_are_no_depth() -> None:
    text = '[[[[[[[[[[{{{{{{{{{{ \\" \\\\ [[[[[ \\\\" [[["'
    body = {"a": [text, {"b": text}], "[[[[[[[[[[[": 1}
    assert parse_object(json.dumps(body).encode(), DEPTH) == body


def test_mark_of_utf_8_in_front_is_skipped() -> None:
    assert parse_object(b'\xef\xbb\xbf{"a": 1}', DEPTH) == {"a": 1}


def test_surrogate_pairs_are_read() -> None:
    assert parse_object(b'{"a": "\\ud83c\\udf89"}', DEPTH) == {"a": "🎉"}


@pytest.mark.parametrize(
    ("body", "advice"),
    [
        (b"[" + b"[]," * 600_000 + b"[]]", "250000 lists"),
        (b"{" + b",".join(b'"%d":1' % n for n in range(300_000)) + b"}", "200000 names"),
        (b"[" + b'"\\"",' * 500_000 + b"1]", "200000 names and strings"),
        (b"[" + b"1," * 2_100_000 + b"1]", "2000000 values"),
        (b'["' + b'\\"' * 9 + b'",' + b"1," * 2_100_000 + b"1]", "2000000 values"),
    ],
)
def test_body_of_too_many_values_is_refused_unread(
    body: bytes, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At d26fdb4 M4: 2.6 million names kept all others waiting for seconds: Python's parser lets
    nothing run beside it.
    """
    monkeypatch.setattr(api.body, "_decoder", None)
    assert advice in refusal(body)


@pytest.mark.parametrize(
    "value", [[[]] * 1000, ["a, b" * 1_000_000], ['"[{' * 300_000], list(range(300_000))]
)
def test_large_body_of_few_values_is_read(value: list[object]) -> None:
    assert parse_json(json.dumps(value).encode(), 64) == value


async def test_client_that_has_left_is_noticed_without_waiting() -> None:
    gone = asyncio.Event()

    async def receive() -> Message:
        await gone.wait()
        return {"type": "http.disconnect"}

    assert not has_left(receive)
    waiting = asyncio.create_task(receive())
    await asyncio.sleep(0)
    gone.set()
    assert has_left(receive)
    assert await waiting == {"type": "http.disconnect"}
