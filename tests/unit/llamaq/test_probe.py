"""`up` tries a model that can do what is asked of it."""

from typing import Any

import httpx
import pytest

from llamaq.probe import Served, _ready


async def ready(*, status: int = 200, **kinds: list[str]) -> Served | None:
    """What is ready where the models are good for these kinds; `away` has no worker now."""

    def answer(request: httpx.Request) -> httpx.Response:
        listed: dict[str, Any] = {"models": [name for name in kinds if name != "away"]}
        if request.url.path == "/v1/models":
            listed = {"data": [{"id": k, "meta": {"kinds": v}} for k, v in kinds.items()]}
        return httpx.Response(status, json=listed)

    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        return await _ready(client)


@pytest.mark.parametrize(
    ("kinds", "served"),
    [
        ({"a": ["embedding"], "b": ["chat"], "away": ["chat"]}, Served(("b", "a"), "chat")),
        ({"a": ["rerank"], "b": ["embedding"]}, Served(("b", "a"), "embedding")),
        ({"a": ["rerank"]}, Served(("a",), "rerank")),
        ({"a": []}, Served(("a",), "")),
        ({"away": ["chat"]}, None),
    ],
)
async def test_models_for_chats_come_first(
    kinds: dict[str, list[str]], served: Served | None
) -> None:
    assert await ready(**kinds) == served


async def test_nothing_is_served_while_the_api_says_so() -> None:
    assert await ready(status=503, a=["chat"]) is None
