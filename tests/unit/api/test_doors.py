"""Every path by which clients come, and what those are told that come by no such path."""

import json
from collections.abc import Iterator

import pytest

from testing.builders import make_chat, make_token
from testing.service import Service, service

TOKEN = {"Authorization": f"Bearer {make_token()}"}
DOORS = ("/v1{}", "{}", "/v1{}/", "{}/")


@pytest.fixture(scope="module")
def api() -> Iterator[Service]:
    with service() as running:
        yield running


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("path", ["/models", "/models/tiny", "/health", "/ready", "/openapi.json"])
def test_what_is_read_is_behind_every_door(api: Service, door: str, path: str) -> None:
    url = door.format(path)
    answer = api.client.get(url, headers=TOKEN, follow_redirects=False)
    assert answer.status_code == 200
    assert answer.json() == api.client.get(f"/v1{path}", headers=TOKEN).json()
    head = api.client.head(url, headers=TOKEN, follow_redirects=False)
    assert (head.status_code, head.content) == (200, b"")
    assert without_id(head.headers) == without_id(answer.headers)


@pytest.mark.parametrize(
    "path", ["/health/", "/v1/models/", "/v1/chat/completions/", "//evil.org/"]
)
def test_nobody_is_sent_elsewhere(api: Service, path: str) -> None:
    """At d26fdb4 a slash at the end was answered by an address of the Host header's choice."""
    url, headers = f"http://testserver{path}", TOKEN | {"Host": "evil.org"}
    for method in ("GET", "POST"):
        answer = api.client.request(method, url, headers=headers, follow_redirects=False)
        assert not answer.is_redirect
        assert "evil.org" not in str(answer.headers)


def without_id(headers: object) -> dict[str, str]:
    return {n: v for n, v in dict(headers).items() if n != "x-request-id"}  # type: ignore[call-overload]


@pytest.mark.parametrize("door", DOORS)
def test_chat_is_behind_every_door(api: Service, door: str) -> None:
    url = door.format("/chat/completions")
    answer = api.client.post(url, content=make_chat(), headers=TOKEN, follow_redirects=False)
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"] == "Hi"
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_method_that_a_path_does_not_take_is_told_those_that_it_takes(
    api: Service, method: str
) -> None:
    answer = api.client.request(method, "/chat/completions/", headers=TOKEN)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    if method != "HEAD":
        message = answer.json()["error"]["message"]
        assert message == f"/chat/completions/ does not take {method}: use POST."
    assert api.client.post("/v1/models", headers=TOKEN).headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "path",
    [
        *("/chat/completions/control", "/stream", "/systemone"),
    ],
)
def test_path_of_llama_server_s_that_is_not_relayed_says_so(api: Service, path: str) -> None:
    for door, method in zip(DOORS, ("GET", "POST", "DELETE", "OPTIONS"), strict=True):
        url = door.format(path)
        answer = api.client.request(method, url)
        assert (answer.status_code, answer.headers["x-should-retry"]) == (501, "false")
        error = answer.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["code"] == "not_relayed"
        assert f"does not relay {url} " in error["message"]
        assert "/v1/chat/completions" in error["message"]
    assert api.client.head(f"/v1{path}").status_code == 501


def test_model_may_be_called_as_one_of_those_paths_but_is_not_loaded(api: Service) -> None:
    assert (
        api.client.get("/models/load", headers=TOKEN).json()["error"]["code"] == "model_not_found"
    )
    assert api.client.post("/models/load", headers=TOKEN).json()["error"]["code"] == "not_relayed"


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/nowhere", "/v1/chat", "/v1/models//x//", "//models"]
)
def test_unknown_path_is_not_found(api: Service, path: str) -> None:
    answer = api.client.get(f"http://testserver{path}", headers=TOKEN, follow_redirects=False)
    assert answer.status_code == 404
    assert path.strip("/").split("/")[0] in json.dumps(answer.json())
