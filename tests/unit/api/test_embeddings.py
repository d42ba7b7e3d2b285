"""Requests for embeddings: what they may hold, how they are cut, and how their answers are put
together.
"""

import json
import random
from typing import Any

import pytest

from api.embeddings.answer import EmbeddingAssembly
from api.embeddings.pieces import MOST_PIECES, PIECE_BYTES, cut
from api.embeddings.request import MAX_INPUTS, EmbeddingRequest, parse_embeddings, parse_native
from api.errors import ApiError
from dispatcher.errors import WorkerFailed
from testing.builders import make_settings

SETTINGS = make_settings()
LONG = "x" * 6000


def parsed(parse: Any = parse_embeddings, **fields: Any) -> EmbeddingRequest:
    body = json.dumps({"model": "org/m", **fields}).encode()
    found: EmbeddingRequest = parse(body, SETTINGS)
    return found


def bodies_of(asked: EmbeddingRequest) -> list[dict[str, Any]]:
    return [json.loads(body) for body in asked.of_model("m", 0).work("ann", 0).bodies]


@pytest.mark.parametrize(
    "value",
    ["", "a", ["a"], ["a", ""], [1, 2], [[1, 2], [3]], [[1, "a"], "b"], [1, "a"], ["a", 1], [0]],
)
def test_every_form_of_input_reaches_the_server(value: Any) -> None:
    (body,) = bodies_of(parsed(input=value))
    alone = isinstance(value, str) or any(isinstance(each, int) for each in value)
    assert body == {"model": "m", "input": [value] if alone else value}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "input"),
        *(({"input": value}, "input") for value in (None, [], [[]], 5, True, {}, [True], [None])),
        *(({"input": value}, "input") for value in ([1.5], [-1], [2**31], [["a", None]], [{}])),
        ({"input": ["a"] * (MAX_INPUTS + 1)}, "input"),
        ({"content": []}, "content"),
        ({"input": "a", "dimensions": 8}, "dimensions"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
        ({"input": "a", "embd_normalize": "x"}, "embd_normalize"),
        ({"input": "a", "embd_normalize": 99}, "embd_normalize"),
        ({"input": "a", "model": 5}, "model"),
    ],
)
def test_bad_fields_are_named(fields: dict[str, Any], param: str) -> None:
    for parse in (parse_embeddings, parse_native):
        with pytest.raises(ApiError) as raised:
            parsed(parse, **fields)
        assert raised.value.status == 400
        assert str(raised.value.param).partition("[")[0] == param


def test_request_may_name_no_model() -> None:
    for parse in (parse_embeddings, parse_native):
        asked = parse(b'{"input": "a"}', SETTINGS)
        assert (asked.model, asked.of_model("m", 0).named) == ("", "m")


def test_what_the_server_does_not_read_stays_behind() -> None:
    asked = parsed(
        input="a", user="ann", encoding_format="base64", embd_normalize=2.0, dimensions=None, x=1
    )
    assert bodies_of(asked) == [
        {"model": "m", "input": ["a"], "encoding_format": "base64", "embd_normalize": 2}
    ]
    assert asked.fields["user"] == "ann"


def test_own_form_of_llama_cpp_is_asked_for_by_its_path_or_by_content() -> None:
    words = [str(parsed(parse, **{name: "a"}).needs) for parse, name in FORMS]
    assert words == ["embeddings", *["native-embeddings"] * 3]
    assert bodies_of(parsed(parse_native, content="a")) == [{"model": "m", "content": ["a"]}]
    assert bodies_of(parsed(content="a", input="b")) == [{"model": "m", "input": ["b"]}]


FORMS = [
    (parse_embeddings, "input"),
    (parse_embeddings, "content"),
    (parse_native, "input"),
    (parse_native, "content"),
]


def test_pieces_are_all_inputs_in_their_order() -> None:
    chance = random.Random(2)  # noqa: S311
    for _ in range(300):
        sizes = [chance.choice([0, 10, 500, 70_000]) for _ in range(chance.randint(1, 400))]
        found = cut(range(len(sizes)), sizes)
        assert [each for piece in found for each in piece] == [*range(len(sizes))]
        assert all(found)
        assert len(found) <= MOST_PIECES


def test_pieces_have_about_the_same_work() -> None:
    found = cut(["x" * 1000] * 1000, [1000] * 1000)
    assert [len(piece) for piece in found] == pytest.approx([1000 / 16] * 16, abs=1)
    assert len(cut(["x"] * 100, [1] * 100)) == 1
    assert len(cut(["x"] * 2000, [1] * 2000)) == 2000 * 65 // PIECE_BYTES
    assert [len(piece) for piece in cut([0] * 4, [10**6, 1, 1, 10**6])] == [1, 1, 1, 1]


def test_estimates_are_those_of_a_piece() -> None:
    whole, shared = parsed(input=LONG), parsed(input=[LONG] * 6)
    assert whole.work("ann", 0).prompt_tokens == 1501
    assert len(shared.pieces) == 2
    assert shared.work("ann", 0).prompt_tokens == 4503
    assert shared.work("ann", 0).completion_tokens == 0
    assert parsed(input=[1, 2, 3]).work("ann", 0).prompt_tokens == 4


def answer_to(size: int, vector: Any = (0.5, -1e-05)) -> dict[str, Any]:
    """What llama-server says to a piece of so many inputs."""
    items = [{"embedding": vector, "index": i, "object": "embedding"} for i in range(size)]
    usage = {"prompt_tokens": size * 3, "total_tokens": size * 3}
    return {"model": "m", "object": "list", "usage": usage, "data": items}


def as_llama_server_writes(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def assembled(asked: EmbeddingRequest, *answers: Any, write: Any = as_llama_server_writes) -> Any:
    assembly = EmbeddingAssembly(asked)
    assembly.add(0, b"what a lost worker said")
    assembly.restart(0)
    for choice, answer in reversed([*enumerate(answers)]):
        body = write(answer)
        for piece in (body[:50], body[50:]):
            assembly.add(choice, piece)
    return assembly.body()


@pytest.mark.parametrize("vector", [(0.5, -1e-05), "AAAAP6zFJ7c="])
@pytest.mark.parametrize(
    "write", [as_llama_server_writes, lambda value: json.dumps(value).encode()]
)
def test_answers_to_pieces_become_one(vector: Any, write: Any) -> None:
    asked = parsed(input=[LONG] * 12)
    sizes = [len(piece) for piece in asked.pieces]
    answers = [answer_to(size, vector) for size in sizes]
    body = assembled(asked, *answers, write=write)
    expected = {**answer_to(12, vector), "model": "org/m"}
    assert body == as_llama_server_writes(expected)


def test_answer_that_is_written_in_another_order_is_put_in_order() -> None:
    answer = answer_to(3)
    answer["data"] = [{**each, "embedding": [each["index"]]} for each in answer["data"]][::-1]
    body = json.loads(assembled(parsed(input=["a", "b", "c"]), dict(sorted(answer.items()))))
    assert [(each["index"], each["embedding"]) for each in body["data"]] == [
        (0, [0]),
        (1, [1]),
        (2, [2]),
    ]
    assert body["usage"] == {"prompt_tokens": 9, "total_tokens": 9}


def test_answers_in_llama_cpps_own_form_become_one() -> None:
    asked = parsed(parse_native, content=[LONG] * 6)
    answers = [[{"index": i, "embedding": [[0.5]]} for i in range(3)]] * 2
    body = assembled(asked, *answers)
    assert body == as_llama_server_writes([{"index": i, "embedding": [[0.5]]} for i in range(6)])


@pytest.mark.parametrize(
    "answer",
    [answer_to(2), answer_to(4), {}, [], 5, None, {"data": [1, 2, 3]}, {"data": None, "usage": {}}],
)
def test_answer_that_lacks_something_is_an_error(answer: Any) -> None:
    asked = parsed(input=["a", "b", "c"])
    with pytest.raises(WorkerFailed, match="send the request again"):
        assembled(asked, answer)


def test_answer_that_is_no_json_is_an_error() -> None:
    with pytest.raises(WorkerFailed, match="can't be read"):
        assembled(parsed(input="a"), None, write=lambda _: b"<html>" * 20)
