"""What a browser may do with the API on a page of another origin."""

from collections.abc import Iterator

import pytest
from httpx import Response

from api.origins import read_origins
from dispatcher.frames import Kind
from testing.builders import make_chat, make_token
from testing.service import STARTED, Service, end, service

PAGE = "https://chat.example.org"
TOKEN = {"Authorization": f"Bearer {make_token()}"}
ASKED = "authorization,content-type,x-stainless-lang,x-llamaq-supersede,x-anything"


@pytest.fixture(scope="module")
def api() -> Iterator[Service]:
    with service(cors_origins=f"{PAGE},http://localhost:3000") as running:
        yield running


def preflight(api: Service, origin: str = PAGE, path: str = "/v1/chat/completions") -> Response:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": ASKED}
    return api.client.options(path, headers={"Origin": origin, **asked})


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/models/", "/v1/systemone", "/nowhere"])
def test_preflight_needs_no_token_and_allows_what_the_browser_asks_for(
    api: Service, path: str
) -> None:
    answer = preflight(api, path=path)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "POST" in answer.headers["access-control-allow-methods"].split(", ")
    allowed = answer.headers["access-control-allow-headers"].replace(" ", "").lower()
    assert set(ASKED.split(",")) <= set(allowed.split(","))


def test_preflight_of_another_origin_is_refused_and_logged(
    api: Service, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "llamaq.access"):
        preflight(api)
        answer = preflight(api, "https://evil.example.org")
    (line,) = [record.getMessage() for record in caplog.records if record.name == "llamaq.access"]
    told = "method=OPTIONS path=/v1/chat/completions status=400 code=cors_refused peer="
    assert told in line
    assert answer.status_code == 400
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "body", "token", "status"),
    [
        ("GET", "/health", b"", False, 200),
        ("GET", "/v1/models", b"", True, 200),
        ("POST", "/v1/chat/completions", make_chat(), True, 200),
        ("POST", "/v1/chat/completions", make_chat(stream=True), True, 200),
        ("POST", "/v1/chat/completions", b"{", True, 400),
        ("POST", "/v1/chat/completions", make_chat(), False, 401),
        ("GET", "/nowhere", b"", False, 404),
        ("PUT", "/v1/models", b"", False, 405),
        ("POST", "/v1/systemone", b"", False, 501),
    ],
)
def test_page_may_read_every_answer(
    api: Service, method: str, path: str, body: bytes, token: bool, status: int
) -> None:
    headers = {"Origin": PAGE, **(TOKEN if token else {})}
    answer = api.client.request(method, path, content=body, headers=headers)
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "Origin" in answer.headers["vary"]
    exposed = set(answer.headers["access-control-expose-headers"].split(", "))
    told = {name for name in answer.headers if name.startswith(("x-llamaq", "x-ratelimit"))}
    assert exposed >= told | {"*", "x-request-id", "retry-after"}


def test_every_header_of_a_waiting_bounded_stream_is_exposed_by_its_name() -> None:
    """Old browsers know no `*`."""
    with service(max_tenant_jobs=5, cors_origins="*") as api:
        answer = api.chat(make_chat(stream=True), {"Origin": PAGE})
    assert answer.headers["access-control-allow-origin"] == "*"
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    told = [name for name in answer.headers if name.startswith(("x-llamaq", "x-ratelimit"))]
    assert len(told) == 5
    assert set(told) <= set(exposed)


def test_page_may_read_that_the_server_crashed(api: Service) -> None:
    api.queue.refusal = ZeroDivisionError()
    answer = api.chat(make_chat(), {"Origin": PAGE})
    api.queue.refusal = None
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (500, PAGE)


def test_page_may_read_the_error_that_ends_a_stream(api: Service) -> None:
    api.queue.frames = (STARTED, *end(Kind.CANCELLED))
    answer = api.chat(make_chat(stream=True), {"Origin": PAGE})
    assert answer.headers["access-control-allow-origin"] == PAGE


def test_without_the_setting_there_are_no_such_headers() -> None:
    with service() as api:
        asked = api.chat(make_chat(), {"Origin": PAGE})
        assert (asked.status_code, preflight(api).status_code) == (200, 405)
        headers = [*asked.headers, *preflight(api).headers]
    assert not [name for name in headers if name.startswith("access-control") or name == "vary"]


def test_every_origin_may_be_allowed() -> None:
    with service(cors_origins="*") as api:
        assert preflight(api, "null").headers["access-control-allow-origin"] == "*"
        assert api.client.get("/health", headers={"Origin": PAGE}).headers[
            "access-control-allow-origin"
        ]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("", []),
        (" ,", []),
        ("*", ["*"]),
        ("http://a:80,https://b:443", ["http://a", "https://b"]),
        (" HTTP://A:8080 , http://[::1]:3000", ["http://a:8080", "http://[::1]:3000"]),
        ("http://a:443,https://b:80", ["http://a:443", "https://b:80"]),
        (
            "chrome-extension://abc,app://obsidian.md",
            ["chrome-extension://abc", "app://obsidian.md"],
        ),
    ],
)
def test_origins_are_read_as_browsers_write_them(text: str, read: list[str]) -> None:
    assert read_origins(text) == read


@pytest.mark.parametrize(
    "text",
    [
        *("chat.example.org", "https://chat.example.org/", "https://a/b", "*,https://a", "null"),
        *("https://*.example.org", "https://a b", "https://a:x", "https://a:99999", "https://"),
        *("https://ü.example.org", "https://u@a", "https://a?b", "a://b:-1", "https://a;https://b"),
    ],
)
def test_what_no_browser_sends_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="origins such as https://chat"):
        read_origins(text)


def test_preflight_is_told_the_setting_where_no_page_may_use_the_api() -> None:
    with service() as closed:
        answer = preflight(closed)
        plain = closed.client.options("/v1/chat/completions")
    assert (answer.status_code, plain.status_code) == (405, 405)
    assert "LLAMAQ_CORS_ORIGINS must name their origins" in answer.json()["error"]["message"]
    assert "LLAMAQ_CORS_ORIGINS" not in plain.text
