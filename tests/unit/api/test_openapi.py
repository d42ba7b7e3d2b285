"""The OpenAPI document tells of every endpoint, from the table."""

from typing import Any

import pytest

from api.endpoints import ENDPOINTS
from api.openapi import document
from api.rule_schemas import schema_of
from api.rules import Number, Texts, Whole, Word
from testing.service import service

DOCUMENT = document(ENDPOINTS)


def resolved(item: Any) -> Any:
    """What a reference of the document leads to."""
    if "$ref" not in item:
        return item
    found: Any = DOCUMENT
    for name in item["$ref"].removeprefix("#/").split("/"):
        found = found[name.replace("~1", "/")]
    return found


@pytest.mark.parametrize("row", ENDPOINTS, ids=lambda row: row.path)
def test_each_door_of_an_endpoint_is_told(row: Any) -> None:
    for door in (row.path, *row.also):
        post = resolved(DOCUMENT["paths"][door])["post"]
        body = post["requestBody"]["content"][row.media_type]["schema"]
        assert body["required"] == list(row.required)
        assert {*row.required, *row.fields} == set(body["properties"])
        assert row.fields, "say what a request may have: Endpoint.fields"
        streams = "text/event-stream" in post["responses"]["200"]["content"]
        assert streams == ("stream" in row.fields)


def test_document_needs_no_token() -> None:
    with service() as api:
        answer = api.client.get("/openapi.json")
        assert api.client.post("/openapi.json").status_code == 405
    assert answer.json() == DOCUMENT


def test_errors_are_told_in_the_form_of_each_api() -> None:
    def required(path: str) -> list[str]:
        error = resolved(DOCUMENT["paths"][path]["post"]["responses"]["400"])
        schema = resolved(error["content"]["application/json"]["schema"])
        fields: list[str] = schema["properties"]["error"]["required"]
        return fields

    assert required("/v1/chat/completions") == ["message", "type", "param", "code"]
    assert required("/v1/messages") == ["type", "message"]


def test_rules_are_told_as_schemas() -> None:
    assert schema_of(Whole(0, 5)) == {"type": "integer", "minimum": 0, "maximum": 5}
    assert schema_of(Number(0.5, 2)) == {"type": "number", "minimum": 0.5, "maximum": 2}
    assert schema_of(Word((True, "a"))) == {"enum": [True, "a"]}
    text = {"type": "string", "maxLength": 3}
    several = {"type": "array", "items": text, "maxItems": 2}
    assert schema_of(Texts(2, 3, or_one=True)) == {"anyOf": [text, several]}


def test_a_field_that_is_not_required_may_be_null() -> None:
    body = DOCUMENT["paths"]["/v1/chat/completions"]["post"]["requestBody"]
    properties = body["content"]["application/json"]["schema"]["properties"]
    assert {"type": "null"} in properties["temperature"]["anyOf"]
    assert properties["messages"] == {"type": "array", "maxItems": 4096}


def test_a_form_knows_no_null_and_has_its_file_as_bytes() -> None:
    body = DOCUMENT["paths"]["/v1/audio/transcriptions"]["post"]["requestBody"]
    properties = body["content"]["multipart/form-data"]["schema"]["properties"]
    assert properties["temperature"]["type"] == "number"
    assert properties["file"] == {"type": "string", "format": "binary"}
