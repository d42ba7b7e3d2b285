import logging
from collections.abc import AsyncIterator, Iterator

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient

from api.body import read_body
from api.edge import Edge
from api.error_handlers import install_error_handlers
from api.errors import bad_request
from api.request_metrics import RequestMetrics
from dispatcher.errors import Fenced, QueueFull


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = FastAPI()
    install_error_handlers(app)

    @app.get("/v1/asks")
    def asks(number: int) -> int:
        request_error = {1: bad_request("do this"), 2: QueueFull("wait"), 3: Fenced("secret")}
        raise request_error.get(number, ZeroDivisionError("secret"))

    @app.get("/v1/streams")
    def streams() -> StreamingResponse:
        async def half() -> AsyncIterator[bytes]:
            yield b"half"
            raise ZeroDivisionError

        return StreamingResponse(half())

    @app.post("/v1/reads")
    async def reads(request: Request) -> int:
        return len(await read_body(request.headers, request.receive, 10, lambda _: None))

    app.middleware_stack = Edge(app, {}, RequestMetrics({}))

    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("DELETE", "/asks", 405, "method_not_allowed"),
        ("GET", "/asks?number=x", 422, "invalid_request"),
        ("GET", "/asks?number=1", 400, "invalid_request"),
        ("GET", "/asks?number=2", 429, "queue_full"),
        ("GET", "/asks?number=3", 500, "internal_error"),
        ("GET", "/asks?number=4", 500, "internal_error"),
    ],
)
def test_every_failure_is_an_openai_error_object(
    client: TestClient, method: str, path: str, status: int, code: str
) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert "secret" not in answer.text


def test_headers_of_an_error_are_sent(client: TestClient) -> None:
    assert client.get("/asks?number=2").headers["retry-after"] == "5"
    assert client.delete("/asks").headers["allow"] == "GET"


@pytest.mark.parametrize("number", [3, 4])
def test_crash_is_logged_once_with_its_traceback(
    client: TestClient, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    client.get(f"/asks?number={number}")
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [bool(record.exc_info) for record in errors] == [True]


def test_crash_after_the_headers_leaves_the_answer_cut(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    assert client.get("/streams").text == "half"
    assert "crashed" in caplog.text


def test_body_up_to_the_limit_is_read(client: TestClient) -> None:
    assert client.post("/reads", content=b"x" * 10).json() == 10


@pytest.mark.parametrize("chunked", [False, True])
def test_larger_body_is_refused(client: TestClient, *, chunked: bool) -> None:
    pieces = (b"x" * 4 for _ in range(3))
    answer = client.post("/reads", content=pieces if chunked else b"x" * 12)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")
    assert answer.headers["connection"] == "close"
