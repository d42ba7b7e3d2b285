"""A client of an API that is killed sends its request again to another one, with the same key."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from testing.builders import make_token
from testing.processes import LlamaServer, Program, api, bridge, free_port, valkey

pytestmark = pytest.mark.real

ALIAS = "small"


@pytest.fixture
def two(tmp_path: Path, models: dict[str, Path]) -> Iterator[list[tuple[Program, str]]]:
    """Two APIs, and one real server."""
    server = LlamaServer(models["small"], free_port(), ALIAS, 2)
    with ExitStack() as stack:
        redis_url = stack.enter_context(valkey(tmp_path))
        apis = [stack.enter_context(api(redis_url, tmp_path / f"{n}.log")) for n in range(2)]
        stack.enter_context(server.running(tmp_path / "server.log"))
        stack.enter_context(bridge(redis_url, server, tmp_path / "bridge.log"))
        yield apis


def ask(url: str, key: str, **fields: Any) -> Any:
    """The raw answer to the request with this key, as OpenAI's client sees it."""
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=make_token(), max_retries=0, timeout=30)
    return client.chat.completions.with_raw_response.create(
        model=ALIAS,
        messages=[{"role": "user", "content": "Hi"}],
        extra_headers={"Idempotency-Key": key},
        extra_body={"ignore_eos": True},
        **fields,
    )


def test_client_of_an_api_that_is_killed_gets_its_answer_from_another(
    two: list[tuple[Program, str]],
) -> None:
    (doomed, first_url), (_, other_url) = two
    first = ask(first_url, "done", max_tokens=20)
    begun = ask(first_url, "begun", max_tokens=150, stream=True)
    stream = iter(begun.parse())
    next(stream)
    doomed.kill()
    with pytest.raises((openai.APIError, httpx.TransportError)):
        list(stream)
    kept = ask(other_url, "done", max_tokens=20)
    assert kept.content == first.content
    assert kept.headers["idempotency-replayed"] == "true"
    assert kept.headers["x-llamaq-original-request"] == first.headers["x-request-id"]
    anew = ask(other_url, "begun", max_tokens=150, stream=True)
    assert "idempotency-replayed" not in anew.headers
    assert sum(bool(chunk.choices and chunk.choices[0].delta.content) for chunk in anew.parse())
    with pytest.raises(openai.UnprocessableEntityError, match="belongs to another request"):
        ask(other_url, "done", max_tokens=21)
