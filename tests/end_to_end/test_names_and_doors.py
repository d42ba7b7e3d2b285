"""One real server with two aliases, one with a slash, by every name and door."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import openai
import pytest
from click.testing import CliRunner
from openai import OpenAI

from llamaq.__main__ import main
from testing.builders import make_token
from testing.processes import LlamaServer, answers, api, bridge, free_port, valkey
from testing.waiting import wait_until

pytestmark = pytest.mark.real

ID, ALIAS, OWN = "an-org/tiny", "quick", "tiny"
GIVEN = "small"  # by an operator
ASKED: Any = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}
PAGE = "http://localhost:3000"


@dataclass(frozen=True, slots=True)
class Named:
    """An API whose only model has three names."""

    url: str
    server: LlamaServer
    redis_url: str

    def alias(self, *words: str) -> None:
        environment = {"LLAMAQ_REDIS_URL": self.redis_url}
        done = CliRunner().invoke(main, ["alias", *words], env=environment)
        assert (done.exit_code, done.stderr) == (0, "")

    def openai(self, path: str = "/v1") -> OpenAI:
        return OpenAI(base_url=self.url + path, api_key=make_token(), max_retries=0, timeout=60)

    def http(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {make_token()}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory, models: dict[str, Path]) -> Iterator[Named]:
    folder = tmp_path_factory.mktemp("named")
    server = LlamaServer(models["tiny"], free_port(), f"{ALIAS},{ID}", slots=2)
    with ExitStack() as stack:
        redis_url = stack.enter_context(valkey(folder))
        stack.enter_context(server.running(folder / "server.log"))
        _, url = stack.enter_context(
            api(
                redis_url,
                folder / "api.log",
                cors_origins=PAGE,
                aliases=f"{GIVEN}={OWN},gpt-4o=no",
            )
        )
        stack.enter_context(bridge(redis_url, server, folder / "bridge.log"))
        wait_until(lambda: answers(f"{url}/v1/ready/"))
        yield Named(url, server, redis_url)


@pytest.mark.parametrize("name", [OWN, ALIAS, ID, GIVEN])
@pytest.mark.parametrize("path", ["/v1", "/v1/", "", "/"])
def test_official_client_chats_by_every_name_and_door(named: Named, name: str, path: str) -> None:
    with named.openai(path) as client:
        whole = client.chat.completions.create(model=name, **ASKED)
        chunks = list(client.chat.completions.create(model=name, stream=True, **ASKED))
    assert {whole.model, *(chunk.model for chunk in chunks)} == {OWN}


def test_server_itself_answers_under_its_id_whatever_it_is_called(named: Named) -> None:
    """Why an answer carries one name here too."""
    url = f"{named.server.url}/v1/chat/completions"
    for name in (ID, ALIAS, "another"):
        answer = httpx.post(url, json={"model": name, **ASKED}, headers={"Connection": "close"})
        assert answer.json()["model"] == ID


def test_model_is_listed_once_with_its_aliases_and_found_by_each_name(named: Named) -> None:
    with named.openai() as client:
        (listed,) = client.models.list().data
        assert (listed.id, listed.model_extra and listed.model_extra["aliases"]) == (
            OWN,
            [ID, ALIAS, GIVEN],
        )
        assert time.time() - 600 < listed.created <= time.time()
        meta: Any = listed.model_extra and listed.model_extra["meta"]
        assert meta["n_ctx_train"] >= meta["n_ctx"] > 0
        assert meta["n_params"] > 0
        assert meta["size"] > 0
        assert "F32" in meta["ftype"]
        assert {client.models.retrieve(name).id for name in (OWN, ID, ALIAS, GIVEN)} == {OWN}
    with named.http() as client:
        urls = [f"/v1/models/{quote(ID, safe=safe)}" for safe in ("", "/")]
        assert [client.get(url).json()["id"] for url in urls] == [OWN, OWN]


def test_unknown_name_is_told_all_names(named: Named) -> None:
    with named.openai() as client, pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(model="an-org/other", **ASKED)
    assert f"Served now: {OWN} (also {ID}, {ALIAS}, {GIVEN})." in refused.value.message


def test_operators_alias_and_default_are_served_within_a_second(named: Named) -> None:
    """The client insists on a name. What is set goes before LLAMAQ_ALIASES."""
    named.alias("set", "gpt-4o", ID)
    named.alias("set", "*", OWN)
    with named.openai() as client, named.http() as http:
        for name in ("gpt-4o", "claude"):
            assert client.chat.completions.create(model=name, **ASKED).model == OWN
        assert http.post("/v1/chat/completions", json=ASKED).json()["model"] == OWN
        named.alias("remove", "*")
        named.alias("remove", "gpt-4o")

        def is_refused() -> bool:
            body = {"model": "gpt-4o", **ASKED}
            return http.post("/v1/chat/completions", json=body).status_code == 404

        wait_until(is_refused)
        with pytest.raises(openai.NotFoundError, match="model 'no', of which 'gpt-4o' is an alias"):
            client.chat.completions.create(model="gpt-4o", **ASKED)


def test_head_has_the_headers_of_get_and_no_body(named: Named) -> None:
    changing = {"date", "x-request-id"}
    with named.http() as client:
        for path in ("/health", "/ready", "/v1/health", "/v1/models", f"/models/{ID}/"):
            got, head = client.get(path), client.head(path)
            assert (head.status_code, head.content) == (200, b"")
            assert {n: v for n, v in head.headers.items() if n not in changing} == {
                n: v for n, v in got.headers.items() if n not in changing
            }
            assert client.get(path).status_code == 200  # the connection is still in order


def test_client_is_told_at_once_that_a_path_is_not_relayed(named: Named) -> None:
    body, patient = {"file": "x" * 100_000}, named.openai().with_options(max_retries=5)
    with patient as client, pytest.raises(openai.APIStatusError) as refused:
        client.post("/chat/completions/control", body=body, cast_to=object)
    assert (refused.value.status_code, refused.value.code) == (501, "not_relayed")


def test_page_of_another_origin_may_read_a_stream_and_its_headers(named: Named) -> None:
    body = {"model": ID, "stream": True, **ASKED}
    with named.http() as client:
        answer = client.post("/v1/chat/completions/", json=body, headers={"Origin": PAGE})
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "x-llamaq-worker" in answer.headers["access-control-expose-headers"]
    events = [line for line in answer.text.splitlines() if line.startswith("data: {")]
    assert {json.loads(event[6:])["model"] for event in events} == {OWN}
