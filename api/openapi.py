"""GET /openapi.json: what the API serves, for programs that read OpenAPI. No token needed.

It is made of the table of endpoints.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.endpoint import Endpoint
from api.errors import OPENAI, ApiError, ErrorForm
from api.json_text import compact
from api.paths import PREFIX
from api.rule_schemas import schema_of
from api.usage_report import answer_schema, query_schemas

Json = dict[str, Any]

_JSON = "application/json"
_STATUSES: Mapping[int, str] = {
    400: "A field has a wrong value: `message` tells how to correct it",
    401: "There is no token, or it is not valid",
    403: "The token does not allow this",
    404: "No such model is served",
    408: "The client reads its answer too slowly",
    409: "A newer request of this client has taken the place of this one",
    413: "The body is too large",
    415: "The body has a Content-Encoding that is not read",
    422: "The model server refuses the request",
    429: "The queue, or the client's part of it, is full: try again after `Retry-After`",
    500: "The model server can't answer this request",
    501: "No server of the model can do this",
    502: "The model servers have failed",
    503: "No model server is there now: try again after `Retry-After`",
    504: "The deadline has passed",
}
_AN_OBJECT: Mapping[str, Any] = {"type": "object"}
_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}
_NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}


def document_route(endpoints: Sequence[Endpoint[Any]]) -> Route:
    """The route that tells the document."""
    said = compact(document(endpoints))

    async def tell(request: Request) -> Response:
        return Response(said, media_type=_JSON)

    return Route(f"{PREFIX}/openapi.json", tell)


def document(endpoints: Sequence[Endpoint[Any]]) -> Json:
    """The OpenAPI document (3.1) of these endpoints, and of what is only looked at."""
    doors = {door: {"$ref": _pointer("paths", row.path)} for row in endpoints for door in row.also}
    forms = {_form_name(row.errors): row.errors for row in endpoints} | {_form_name(OPENAI): OPENAI}
    return {
        "openapi": "3.1.0",
        "info": {"title": "llamaq", "version": "1"},
        "paths": {row.path: {"post": _post(row)} for row in endpoints} | doors | _get_paths(),
        "components": {
            "securitySchemes": _SECURITY,
            "headers": {"id": {"description": "Names the request", "schema": {"type": "string"}}},
            "schemas": {name: _error_schema(form) for name, form in forms.items()},
            "responses": {
                f"{name}-{status}": _error(name, text)
                for name in forms
                for status, text in _STATUSES.items()
            },
        },
    }


def _pointer(*names: str) -> str:
    """Where in the document something is.

    >>> _pointer("paths", "/v1/models")
    '#/paths/~1v1~1models'
    """
    return "/".join(["#", *(name.replace("/", "~1") for name in names)])


def _form_name(form: ErrorForm) -> str:
    return "error" if form is OPENAI else f"{form.__module__.split('.')[1]}-error"


def _post(row: Endpoint[Any]) -> Json:
    kinds = [_JSON, *(["text/event-stream"] if "stream" in row.fields else [])]
    answer: Json = {kind: {"schema": {}} for kind in kinds}
    return {
        "security": _login(),
        "requestBody": {"required": True, "content": {row.media_type: {"schema": _body(row)}}},
        "responses": {"200": _response("The answer", answer), **_errors(row.errors, *_STATUSES)},
    }


def _body(row: Endpoint[Any]) -> Json:
    """The schema of a request. In JSON a field that is not required may be null: it is not given
    then.
    """
    never_null = row.required if row.media_type == _JSON else row.fields
    properties: Json = {name: {} for name in row.required} | {
        name: schema_of(rule) if name in never_null else _or_null(schema_of(rule))
        for name, rule in row.fields.items()
    }
    return {
        "type": "object",
        "properties": properties,
        "required": list(row.required),
        "additionalProperties": True,
    }


def _or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]} if schema else {}


def _errors(form: ErrorForm, *statuses: int) -> Json:
    name = _form_name(form)
    return {
        str(status): {"$ref": _pointer("components", "responses", f"{name}-{status}")}
        for status in statuses
    }


def _error(name: str, description: str) -> Json:
    schema = {"$ref": _pointer("components", "schemas", name)}
    return _response(description, {_JSON: {"schema": schema}})


def _error_schema(form: ErrorForm) -> Json:
    """That of an error's body, by an example of it that has all fields and one that has few."""
    few = form(ApiError(400, "", type="", code=None), "")
    return _object_like(form(ApiError(400, "", type="", code="", param=""), ""), few)


def _object_like(example: Mapping[str, Any], few: Mapping[str, Any]) -> Json:
    """The schema of an object with the example's fields: each is an object or a string."""
    properties = {
        name: _object_like(value, few[name])
        if isinstance(value, Mapping)
        else {"type": ["string", "null"]}
        for name, value in example.items()
    }
    return {"type": "object", "properties": properties, "required": list(few)}


def _response(description: str, content: Json) -> Json:
    headers = {"x-request-id": {"$ref": "#/components/headers/id"}}
    return {"description": description, "headers": headers, "content": content}


def _get_paths() -> Json:
    """What is asked with GET."""
    return {
        "/v1/models": {"get": _get(401, 403, 503, security=_login())},
        "/v1/models/{name}": {
            "parameters": [_NAME],
            "get": _get(401, 403, 404, 503, security=_login()),
        },
        "/v1/usage": {
            "parameters": [_in_query(name, rule) for name, rule in query_schemas().items()],
            "get": _get(400, 401, 403, 503, security=_login(), answer=answer_schema()),
        },
        "/health": {"get": _get()},
        "/ready": {"get": _get(503)},
        "/openapi.json": {"get": _get()},
    }


def _in_query(name: str, schema: Mapping[str, Any]) -> Json:
    return {"name": name, "in": "query", "schema": schema}


def _get(
    *statuses: int, security: Sequence[Json] = (), answer: Mapping[str, Any] = _AN_OBJECT
) -> Json:
    said = _response("The answer", {_JSON: {"schema": answer}})
    return {
        "security": list(security),
        "responses": {"200": said, **_errors(OPENAI, *statuses)},
    }


def _login() -> list[Json]:
    return [{name: []} for name in _SECURITY]
